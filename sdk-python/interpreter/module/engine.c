/* Engine: one opened operator, from a frame to its answer. */
#include "tidemill.h"

Cell fault_cell = {.item = TM_ITEM_NONE};

/* ---- processing ---- */

static int set_attribute(Engine *e, const char *name, PyObject *value)
{
    int r = value ? PyObject_SetAttrString(e->operator, name, value) : -1;
    Py_XDECREF(value);
    return r;
}

/* tell gives the operator what it can know of the frame. */
static int tell(Engine *e)
{
    const Frame *f = &e->frame;
    if (set_attribute(e, "watermark", PyLong_FromLongLong(f->watermark)) < 0 ||
        set_attribute(e, "processing_time", PyLong_FromLongLong(f->processing_time)) < 0)
        return -1;
    return set_attribute(e, "_seed", Py_BuildValue("(KK)", f->seed, f->sequence));
}

/* begin makes everything ready for the frame's items, also where some of them were processed before. */
static int begin(Engine *e)
{
    fault_cell = (Cell){.item = TM_ITEM_NONE};
    e->key = TM_NO_KEY;
    e->bytes = 0;
    e->bytes_stop = e->bytes_max / 2; /* the rest is room for what the last item does */
    e->scans = 0;
    e->applied = e->shared = false;
    e->run++;
    for (uint32_t i = 0; i < e->outputs_n; i++)
        output_reset(e->outputs[i]);
    e->timer_log.n = e->timer_log.tags_n = 0;
    metrics_reset(e);
    Section keys = e->frame.keys;
    uint32_t n = keys.head ? load32(keys.head + 4) : 0;
    for (uint32_t i = 0; keys.head && i < e->keys_n; i++)
        key_load(e->keys[i], keys);
    for (uint32_t i = 0; i < e->states_n; i++)
        if (e->states[i]->kind->load(e->states[i], n, e->frame.states[i]) < 0)
            return -1;
    return 0;
}

/* engine_result checks what a callback returned that has nothing to return. */
int engine_result(PyObject *callback, PyObject *result)
{
    if (result == Py_None)
        return 0;
    PyObject *name = PyObject_GetAttrString(callback, "__name__");
    if (name)
        PyErr_Format(PyExc_TypeError, "%S returned %s: rows are emitted by output ports", name, short_name(Py_TYPE(result)));
    Py_XDECREF(name);
    return -1;
}

static int call(const Callback *c, PyObject *argument)
{
    item_begin(c, TM_ITEM_NONE);
    PyObject *result = argument ? PyObject_CallOneArg(c->call, argument) : PyObject_CallNoArgs(c->call);
    Py_XDECREF(argument);
    int r = result ? engine_result(c->call, result) : -1;
    Py_XDECREF(result);
    return r;
}

static int run(Engine *e, uint32_t limit, uint32_t *done)
{
    PyObject *watermark;
    *done = 0;
    switch (e->frame.kind) {
    case TM_KIND_BATCH:
        return input_run(e->inputs[e->frame.port], limit, done);
    case TM_KIND_TIMERS:
        return timers_run(e, limit, done);
    case TM_KIND_WATERMARK:
        watermark = PyLong_FromLongLong(e->frame.watermark);
        return watermark ? call(&e->on_watermark, watermark) : -1;
    case TM_KIND_END:
        return call(&e->on_end, NULL);
    }
    PyErr_Format(PyExc_NotImplementedError, "frames of kind %u are not supported", e->frame.kind);
    return -1;
}

/* ---- answers ---- */

/* finish builds the answer of a frame of which the first done items took effect. */
static int finish(Engine *e, uint32_t done, uint32_t items)
{
    Builder *b = &e->answer;
    uint32_t sections = 3 + e->states_n;
    for (uint32_t i = 0; i < e->outputs_n; i++)
        sections += output_sections(e->outputs[i]);
    builder_start(b, &e->frame, sections);
    if (done < items) {
        uint32_t head = builder_open(b, TM_SECTION_CONSUMED, 0, TM_CONSUMED_SIZE, 0);
        builder_put32(b, head, done);
        builder_close(b);
    }
    for (uint32_t i = 0; i < e->outputs_n; i++)
        output_flush(e->outputs[i], b, done);
    for (uint32_t i = 0; i < e->states_n; i++)
        if (e->states[i]->kind->flush(e->states[i], b) < 0)
            return -1;
    timers_flush(&e->timer_log, b);
    metrics_flush(e, b);
    return builder_finish(b);
}

/* engine_apply hands the changes of one state to the host before the answer, so that what the host is asked for next shows
 * them. */
int engine_apply(Engine *e, State *s)
{
    Builder *b = &e->answer;
    builder_start(b, &e->frame, 1);
    if (s->kind->flush(s, b) < 0)
        return -1;
    if (b->entries == 0)
        return 0;
    if (builder_finish(b) < 0)
        return -1;
    e->applied = true;
    host_apply(b->buffer, b->used);
    return 0;
}

/* Text is bytes of UTF-8, which may hold zeros. */
typedef struct {
    const char *bytes;
    Py_ssize_t n;
} Text;

static Text text(const char *s) { return (Text){s, (Py_ssize_t)strlen(s)}; }

static uint32_t error_len(Text t) { return (uint32_t)(t.n < TM_ERROR_MESSAGE_BYTES ? t.n : TM_ERROR_MESSAGE_BYTES); }

static uint8_t *fail(Engine *e, uint32_t code, uint32_t item, Text message, Text place, uint32_t *n)
{
    Builder *b = &e->answer;
    uint32_t message_len = error_len(message), place_len = error_len(place);
    builder_start(b, &e->frame, 1);
    uint32_t head = builder_open(b, TM_SECTION_ERROR, 0, TM_ERROR_SIZE + message_len + place_len, 0);
    builder_put32(b, head, code);
    builder_put32(b, head + 4, item);
    builder_put32(b, head + 8, message_len);
    builder_put32(b, head + 12, place_len);
    builder_close(b);
    if (builder_finish(b) < 0)
        Py_FatalError("no memory to tell an error");
    memcpy(b->buffer + head + TM_ERROR_SIZE, message.bytes, message_len);
    memcpy(b->buffer + head + TM_ERROR_SIZE + message_len, place.bytes, place_len);
    *n = b->used;
    return b->buffer;
}

/* RESERVE_BYTES are kept for telling an error of an operator that has used up its memory. */
#define RESERVE_BYTES (512u << 10)

static void *reserve;

void engine_reserve(void)
{
    if (!reserve)
        reserve = PyMem_RawMalloc(RESERVE_BYTES);
}

/* fail_raised answers the exception that was raised. */
static uint8_t *fail_raised(Engine *e, uint32_t items, uint32_t *n)
{
    PyObject *exception = PyErr_GetRaisedException();
    PyMem_RawFree(reserve);
    reserve = NULL;
    watch_end();
    bool shared = e->shared || PyErr_GivenExceptionMatches(exception, PyExc_MemoryError);
    uint32_t item = shared && items > 1 ? TM_ITEM_NONE : fault_cell.item;
    PyObject *told = PyObject_CallOneArg(e->explain, exception);
    Text message = text(short_name(Py_TYPE(exception))), place = text("");
    if (!told || !PyArg_ParseTuple(told, "s#s#", &message.bytes, &message.n, &place.bytes, &place.n))
        PyErr_Clear();
    uint8_t *answer = fail(e, TM_ERROR_CODE_USER, item, message, place, n);
    Py_XDECREF(told);
    Py_DECREF(exception);
    engine_reserve();
    return answer;
}

static uint8_t *fail_limit(Engine *e, uint32_t item, uint32_t *n)
{
    char message[96];
    PyOS_snprintf(message, sizeof message, "the answer to one item is larger than frame_bytes (%u)", e->bytes_max);
    return fail(e, TM_ERROR_CODE_LIMIT, item, text(message), text(""), n);
}

/* process is engine_process of a frame that was read. */
static uint8_t *process(Engine *e, uint32_t *n)
{
    uint32_t items = frame_items(&e->frame), done;
    if (tell(e) < 0)
        return fail_raised(e, items, n);
    for (e->items = items;;) {
        e->running = begin(e) == 0;
        int r = e->running ? run(e, e->items, &done) : -1;
        e->running = false;
        if (r < 0)
            return fail_raised(e, e->items, n);
        uint32_t last = fault_cell.item;
        fault_cell.item = TM_ITEM_NONE; /* what goes wrong from here on is no single item's fault */
        if (e->bytes <= e->bytes_max) {
            if (finish(e, done, items) < 0)
                return fail_raised(e, e->items, n);
            if (e->answer.used <= e->bytes_max) {
                *n = e->answer.entries ? e->answer.used : 0;
                return e->answer.buffer;
            }
        }
        /* Frames end well before the limit, but one item can go past it. What it did cannot be taken back by itself, so
         * fewer items run again. Where changes went to the host already, the host must start over, with single items. */
        if (done <= 1)
            return fail_limit(e, last, n);
        if (e->applied)
            return fail_limit(e, TM_ITEM_NONE, n);
        e->items = done / 2;
    }
}

/* engine_process answers a frame: the answer, valid until the next call, of 0 bytes where nothing came of the frame. */
uint8_t *engine_process(Engine *e, const uint8_t *data, uint32_t len, uint32_t *n)
{
    if (frame_read(&e->frame, data, len) < 0)
        return fail(e, TM_ERROR_CODE_UNEXPECTED, TM_ITEM_NONE, text("not a frame of version 1 of the contract"), text(""), n);
    watch_begin(e, frame_items(&e->frame));
    uint8_t *answer = process(e, n);
    watch_end();
    return answer;
}

/* ---- opening ---- */

/* place_of is where a callback begins, as "op.py:12", or an empty string. */
static PyObject *place_of(PyObject *callback)
{
    PyObject *function = PyMethod_Check(callback) ? PyMethod_GET_FUNCTION(callback) : callback;
    if (!PyFunction_Check(function))
        return PyUnicode_FromString("");
    PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(function);
    return PyUnicode_FromFormat("%U:%d", code->co_filename, code->co_firstlineno);
}

static int set_callback(Callback *c, PyObject *callback)
{
    PyObject *place = place_of(callback);
    int r = place ? callback_set(c, callback, place) : -1;
    Py_XDECREF(place);
    return r;
}

/* inject gives the operator an object under the name at index 1 of its table, unless that is empty. */
static int inject(Engine *e, PyObject *attribute, PyObject *object)
{
    if (!object)
        return -1;
    return PyUnicode_GET_LENGTH(attribute) ? PyObject_SetAttr(e->operator, attribute, object) : 0;
}

/* each calls make for the elements of a tuple, at most max of them. */
static int each(Engine *e, PyObject *tables, uint32_t max, uint32_t *n, int (*make)(Engine *, uint32_t, PyObject *))
{
    if (!PyTuple_Check(tables) || PyTuple_GET_SIZE(tables) > max) {
        PyErr_Format(PyExc_ValueError, "more than %u parts of a kind", max);
        return -1;
    }
    for (; *n < PyTuple_GET_SIZE(tables); ++*n)
        if (make(e, *n, PyTuple_GET_ITEM(tables, *n)) < 0)
            return -1;
    return 0;
}

static int make_input(Engine *e, uint32_t i, PyObject *table)
{
    PyObject *handler = PySequence_GetItem(table, 2), *place = handler ? place_of(handler) : NULL;
    e->inputs[i] = place ? input_new(e, i, table, place) : NULL;
    Py_XDECREF(place);
    Py_XDECREF(handler);
    return e->inputs[i] ? 0 : -1;
}

static int make_output(Engine *e, uint32_t i, PyObject *table)
{
    e->outputs[i] = output_new(e, i, table);
    if (!e->outputs[i])
        return -1;
    return inject(e, PyTuple_GET_ITEM(table, 1), (PyObject *)e->outputs[i]);
}

static int make_state(Engine *e, uint32_t i, PyObject *table)
{
    e->states[i] = state_new(e, i, table);
    return inject(e, PyTuple_GET_ITEM(table, 1), (PyObject *)e->states[i]);
}

static int make_timer(Engine *e, uint32_t i, PyObject *table)
{
    PyObject *name, *attribute, *handler;
    int domain, many, drop;
    if (!PyArg_ParseTuple(table, "UUippO", &name, &attribute, &domain, &many, &drop, &handler) ||
        set_callback(&e->timers[i], handler) < 0)
        return -1;
    return inject(e, attribute, timer_new(e, i, domain));
}

static int make_metric(Engine *e, uint32_t i, PyObject *table)
{
    PyObject *name, *attribute, *doc;
    int kind;
    if (!PyArg_ParseTuple(table, "UUiO", &name, &attribute, &kind, &doc))
        return -1;
    return inject(e, attribute, (PyObject *)handle_new(kind ? &Gauge_Type : &Counter_Type, e, i));
}

static int make_key(Engine *e, uint32_t i, PyObject *table)
{
    PyObject *attribute, *rows;
    if (!PyArg_ParseTuple(table, "UO", &attribute, &rows) || !(e->keys[i] = key_new(e, rows)))
        return -1;
    return inject(e, attribute, (PyObject *)e->keys[i]);
}

/* tell_sources writes what is wrong with rows of another input that are emitted where columns are passed through. */
static int tell_sources(Engine *e, PyObject *inputs)
{
    for (uint32_t i = 0; i < e->outputs_n; i++) {
        Output *out = e->outputs[i];
        if (out->input < 0)
            continue;
        PyObject *name = PyTuple_GET_ITEM(PyTuple_GET_ITEM(inputs, out->input), 0);
        out->input_error = PyUnicode_FromFormat("%U passes columns of input %U through: only rows of it can be emitted there", out->what, name);
        if (!out->input_error)
            return -1;
    }
    return 0;
}

/* bind makes all parts of a Binding of tidemill._declare. */
static int bind(Engine *e, PyObject *binding)
{
    PyObject *inputs, *outputs, *states, *timers, *metrics, *keys, *on_watermark, *on_end, *limits, *prefetch;
    if (!PyArg_ParseTuple(binding, "OOOOOOOOOOO:Engine", &e->operator, &inputs, &outputs, &states, &timers, &metrics, &keys, &on_watermark,
                          &on_end, &limits, &prefetch))
        return -1;
    Py_INCREF(e->operator);
    PyObject *frame_bytes = PyDict_GetItemString(limits, "frame_bytes");
    e->bytes_max = frame_bytes ? (uint32_t)PyLong_AsUnsignedLong(frame_bytes) : TM_FRAME_BYTES_MAX;
    if (PyErr_Occurred() || each(e, inputs, TM_INPUT_PORTS_MAX, &e->inputs_n, make_input) < 0 ||
        each(e, outputs, TM_OUTPUT_PORTS_MAX, &e->outputs_n, make_output) < 0 ||
        each(e, states, TM_STATES_MAX, &e->states_n, make_state) < 0 || each(e, timers, TM_TIMER_NAMES_MAX, &e->timers_n, make_timer) < 0 ||
        each(e, metrics, TM_METRICS_MAX, &e->metrics_n, make_metric) < 0 || each(e, keys, KEY_READERS_MAX, &e->keys_n, make_key) < 0)
        return -1;
    if ((on_watermark != Py_None && set_callback(&e->on_watermark, on_watermark) < 0) ||
        (on_end != Py_None && set_callback(&e->on_end, on_end) < 0))
        return -1;
    return tell_sources(e, inputs);
}

static PyObject *import_from(const char *module, const char *name)
{
    PyObject *m = PyImport_ImportModule(module);
    PyObject *found = m ? PyObject_GetAttrString(m, name) : NULL;
    Py_XDECREF(m);
    return found;
}

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *binding;
    if (!PyArg_ParseTuple(args, "O!:Engine", &PyTuple_Type, &binding))
        return NULL;
    Engine *e = (Engine *)type->tp_alloc(type, 0);
    if (!e)
        return NULL;
    e->key = TM_NO_KEY;
    e->fired = import_from("tidemill._parts", "Fired");
    e->explain = import_from("tidemill._errors", "explain");
    e->drivers = import_from("tidemill._guest", "DRIVERS");
    e->column = import_from("tidemill._column", "Column");
    e->buffers = import_from("tidemill._column", "buffers");
    e->columns = PyMem_Calloc(TM_COLUMNS_MAX, sizeof *e->columns);
    if (!e->columns)
        return PyErr_NoMemory();
    if (!e->fired || !e->explain || !e->drivers || !e->column || !e->buffers || bind(e, binding) < 0)
        return NULL;
    return (PyObject *)e;
}

PyTypeObject Engine_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Engine",
    .tp_doc = "Engine(binding): an opened operator, whose parts are given to it as attributes.",
    .tp_basicsize = sizeof(Engine),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = engine_new,
};
