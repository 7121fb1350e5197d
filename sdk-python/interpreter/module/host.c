/* The imports, and the watch over the interpreter's evaluation loop.
 *
 * The host's meter works below Python: what uses up its fuel is killed without a word of where it was. So the evaluation
 * loop counts down at each call and each jump back (patches/watch.patch), and now and then looks at the fuel that is left.
 * It keeps the line under way in the fault cell; when a frame has used up half of its fuel it ends it with the item under
 * way, so that heavy items do not add up; and when little is left it raises FuelExhausted in the user's code, again and
 * again if that is caught. The meter stays the wall, also for one long call into C. */
#include "tidemill.h"
#include "internal/pycore_ceval.h"
#include "internal/pycore_frame.h"

#define IMPORT(name) __attribute__((import_module(TM_IMPORT_MODULE), import_name(#name)))

IMPORT(log) void import_log(int32_t level, const void *line, uint32_t len);
IMPORT(fuel_left) int64_t import_fuel_left(void);
IMPORT(state_get)
int32_t import_state_get(uint32_t state, uint32_t key, const void *map_key, uint32_t len, void *out, uint32_t capacity);
IMPORT(state_scan_open)
int32_t import_state_scan_open(uint32_t state, uint32_t key, const void *bounds, uint32_t len, uint32_t flags);
IMPORT(state_scan_next) int32_t import_state_scan_next(int32_t handle, void *out, uint32_t capacity);
IMPORT(state_apply) void import_state_apply(const void *frame, uint32_t len);

void host_log(int32_t level, const void *line, uint32_t len) { import_log(level, line, len); }

int64_t host_fuel_left(void) { return import_fuel_left(); }

int32_t host_state_get(uint32_t state, uint32_t key, const void *map_key, uint32_t len, void *out, uint32_t capacity)
{
    return import_state_get(state, key, map_key, len, out, capacity);
}

int32_t host_scan_open(uint32_t state, uint32_t key, const void *bounds, uint32_t len, uint32_t flags)
{
    return import_state_scan_open(state, key, bounds, len, flags);
}

int32_t host_scan_next(int32_t handle, void *out, uint32_t capacity) { return import_state_scan_next(handle, out, capacity); }

void host_apply(const void *frame, uint32_t len) { import_state_apply(frame, len); }

/* ---- the watch ---- */

/* TICKS_MAX checks of the loop lie between two looks: a look costs less than 0.1 % then. TICKS_CAUGHT lie between
 * FuelExhausted and the next, where the first was caught. TICKS_FIRST looks at every check begin a call with one item,
 * which is how the host runs an item again that is suspected of a fault: the line under way is exact then, if what takes so
 * long is a call into C. */
#define TICKS_MAX 20000
#define TICKS_CAUGHT 500
#define TICKS_FIRST 256

/* What telling an error may take: the traceback and the answer. */
#define FUEL_KEPT 12000000

int tidemill_ticks = TICKS_MAX;
void tidemill_watch(void);

PyObject *FuelExhausted;

static struct {
    bool on;
    Engine *engine; /* of a frame, else NULL */
    uint32_t looks, exact;
    int interval;
    int64_t begun, left, kept;
    char place[256];
} watch;

void watch_begin(Engine *e, uint32_t items)
{
    watch.on = true;
    watch.engine = e;
    watch.looks = 0;
    watch.exact = items <= 1 ? TICKS_FIRST : 1;
    watch.interval = 1;
    watch.begun = watch.left = host_fuel_left();
    watch.kept = watch.begun / 4 < FUEL_KEPT ? watch.begun / 4 : FUEL_KEPT;
    tidemill_ticks = 0;
}

void watch_end(void)
{
    watch.on = false;
    tidemill_ticks = TICKS_MAX;
}

/* place_of writes "op.py:12" for the innermost frame that runs the user's code. Files of the library have names in
 * brackets. */
static void place_of(const PyThreadState *ts)
{
    for (_PyInterpreterFrame *f = ts->current_frame; f; f = f->previous) {
        if (f->owner == FRAME_OWNED_BY_CSTACK || !PyCode_Check(f->f_executable))
            continue;
        PyCodeObject *code = (PyCodeObject *)f->f_executable;
        const char *file = PyUnicode_AsUTF8(code->co_filename);
        if (!file || file[0] == '<')
            continue;
        int line = PyCode_Addr2Line(code, _PyInterpreterFrame_LASTI(f) * (int)sizeof(_Py_CODEUNIT));
        int n = PyOS_snprintf(watch.place, sizeof watch.place, "%s:%d", file, line);
        fault_cell.place = watch.place;
        fault_cell.place_len = n < 0 ? 0 : n < (int)sizeof watch.place ? (uint32_t)n : (uint32_t)sizeof watch.place - 1;
        return;
    }
}

static void raise_exhausted(PyThreadState *ts)
{
    if (watch.engine)
        watch.engine->shared = true;
    Py_XSETREF(ts->async_exc, Py_NewRef(FuelExhausted));
    ts->eval_breaker |= _PY_ASYNC_EXCEPTION_BIT;
    tidemill_ticks = TICKS_CAUGHT;
}

/* tidemill_watch is called by the evaluation loop when tidemill_ticks are used up. */
void tidemill_watch(void)
{
    tidemill_ticks = TICKS_MAX;
    if (!watch.on)
        return;
    PyThreadState *ts = PyThreadState_Get();
    place_of(ts);
    if (++watch.looks < watch.exact)
        watch.interval = 0;
    else if (watch.interval < TICKS_MAX)
        watch.interval = 2 * watch.interval + 1;
    tidemill_ticks = watch.interval < TICKS_MAX ? watch.interval : TICKS_MAX;
    int64_t left = host_fuel_left(), spent = watch.left - left;
    watch.left = left;
    if (left < watch.kept + 2 * spent)
        raise_exhausted(ts);
    else if (watch.engine && left < watch.begun / 2)
        watch.engine->bytes_stop = INT64_MIN;
}
