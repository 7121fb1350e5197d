/* Timers, metrics and the key: the small parts of an operator. */
#include "tidemill.h"

/* handle_new makes an object that belongs to an engine. */
Handle *handle_new(PyTypeObject *type, Engine *e, uint32_t id)
{
    Handle *h = (Handle *)type->tp_alloc(type, 0);
    if (h) {
        h->engine = (Engine *)Py_NewRef(e);
        h->id = id;
    }
    return h;
}

/* ---- timers ---- */

typedef struct {
    Handle handle;
    uint8_t domain;
} Timer;

PyObject *timer_new(Engine *e, uint32_t id, int domain)
{
    Timer *t = (Timer *)handle_new(&Timer_Type, e, id);
    if (t)
        t->domain = (uint8_t)domain;
    return (PyObject *)t;
}

/* What a change takes in an answer, without its tag. */
#define TIMER_BYTES (4 + 2 + 1 + 1 + 8 + 4)

static const char *tag_of(PyObject *tag, Py_ssize_t *n)
{
    *n = 0;
    if (!tag)
        return "";
    if (!PyUnicode_Check(tag)) {
        PyErr_Format(PyExc_TypeError, "a timer's tag is str, not %s", short_name(Py_TYPE(tag)));
        return NULL;
    }
    const char *text = PyUnicode_AsUTF8AndSize(tag, n);
    if (text && *n > TM_TAG_BYTES_MAX) {
        PyErr_SetString(PyExc_ValueError, "a timer's tag is longer than 256 bytes");
        return NULL;
    }
    return text;
}

static int time_of(PyObject *time, int64_t *us)
{
    if (!PyLong_Check(time)) {
        PyErr_Format(PyExc_TypeError, "a timer's time is int, in microseconds, not %s", short_name(Py_TYPE(time)));
        return -1;
    }
    int overflow;
    *us = PyLong_AsLongLongAndOverflow(time, &overflow);
    if (overflow)
        PyErr_Format(PyExc_OverflowError, "a timer's time: %S is out of the range of i64", time);
    return overflow ? -1 : 0;
}

/* timer_change adds a change to the answer; time is NULL where it does not count. */
static PyObject *timer_change(Timer *t, uint8_t op, PyObject *time, PyObject *tag)
{
    Engine *e = t->handle.engine;
    TimerLog *log = &e->timer_log;
    Py_ssize_t n;
    int64_t us = 0;
    if (engine_key(e, "a timer is set or deleted") == TM_NO_KEY || (time && time_of(time, &us) < 0))
        return NULL;
    const char *text = tag_of(tag, &n);
    if (!text)
        return NULL;
    if (grow(&log->entries, &log->capacity, log->n + 1, sizeof *log->entries) < 0 ||
        grow(&log->tags, &log->tags_capacity, log->tags_n + (uint32_t)n, 1) < 0)
        return NULL;
    if (n > 0)
        memcpy(log->tags + log->tags_n, text, (size_t)n);
    log->tags_n += (uint32_t)n;
    log->entries[log->n++] = (TimerChange){us, e->key, log->tags_n, (uint16_t)t->handle.id, t->domain, op};
    e->bytes += TIMER_BYTES + n;
    Py_RETURN_NONE;
}

static PyObject *change_at(PyObject *self, const char *name, PyObject *const *args, Py_ssize_t n, uint8_t op)
{
    if (!_PyArg_CheckPositional(name, n, 1, 2))
        return NULL;
    return timer_change((Timer *)self, op, args[0], n > 1 ? args[1] : NULL);
}

static PyObject *timer_set(PyObject *self, PyObject *const *args, Py_ssize_t n) { return change_at(self, "set", args, n, TM_TIMER_SET); }

static PyObject *timer_delete_at(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    return change_at(self, "delete_at", args, n, TM_TIMER_DELETE);
}

static PyObject *timer_delete(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!_PyArg_CheckPositional("delete", n, 0, 1))
        return NULL;
    return timer_change((Timer *)self, TM_TIMER_DELETE_TAG, NULL, n ? args[0] : NULL);
}

#define FASTCALL(f) (PyCFunction)(void (*)(void))f, METH_FASTCALL

static PyMethodDef timer_methods[] = {
    {"set", FASTCALL(timer_set), "Sets a timer of the current key for a time in microseconds, with a tag."},
    {"delete", FASTCALL(timer_delete), "Deletes the timers of the current key with a tag."},
    {"delete_at", FASTCALL(timer_delete_at), "Deletes the timer of the current key for a time and a tag."},
    {0},
};

PyTypeObject Timer_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Timer",
    .tp_basicsize = sizeof(Timer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = timer_methods,
};

/* fired makes a Fired, which is a tuple of time and tag. */
static PyObject *fired(PyObject *cls, int64_t time, const char *tag, uint32_t tag_len)
{
    PyObject *f = ((PyTypeObject *)cls)->tp_alloc((PyTypeObject *)cls, 2);
    PyObject *at = f ? PyLong_FromLongLong(time) : NULL;
    PyObject *text = at ? PyUnicode_DecodeUTF8(tag, tag_len, NULL) : NULL;
    if (!text) {
        Py_XDECREF(at);
        Py_XDECREF(f);
        return NULL;
    }
    PyTuple_SET_ITEM(f, 0, at);
    PyTuple_SET_ITEM(f, 1, text);
    return f;
}

static int fire(const Callback *c, PyObject *f)
{
    PyObject *result = f ? PyObject_CallOneArg(c->call, f) : NULL;
    Py_XDECREF(f);
    int r = result ? engine_result(c->call, result) : -1;
    Py_XDECREF(result);
    return r;
}

/* timers_run processes the first entries of a TIMERS frame and tells how many took effect. */
int timers_run(Engine *e, uint32_t limit, uint32_t *done)
{
    Section s = e->frame.timers;
    const uint32_t *keys = section_array(s, 8);
    const uint16_t *names = section_array(s, 12);
    const int64_t *times = section_array(s, 24);
    const uint32_t *ends = section_array(s, 28);
    const char *tags = section_array(s, 32);
    for (uint32_t i = 0; i < limit; i++) {
        const Callback *c = &e->timers[names[i]];
        item_begin(c, i);
        e->key = keys[i];
        if (fire(c, fired(e->fired, times[i], tags + ends[i], ends[i + 1] - ends[i])) < 0)
            return -1;
        if (e->bytes >= e->bytes_stop) {
            *done = i + 1;
            return 0;
        }
    }
    *done = limit;
    return 0;
}

/* timers_flush adds the changes to the answer. */
void timers_flush(TimerLog *log, Builder *b)
{
    uint32_t n = log->n;
    if (n == 0)
        return;
    uint32_t head = builder_open(b, TM_SECTION_TIMERS, 0, TM_TIMERS_SIZE, 0);
    builder_put32(b, head, n);
#define COLUMN(field, type, member) \
    type *member = builder_array(b, head + (field), n * sizeof(type)); \
    for (uint32_t i = 0; member && i < n; i++) \
        member[i] = log->entries[i].member;
    COLUMN(8, uint32_t, key)
    COLUMN(12, uint16_t, name)
    COLUMN(16, uint8_t, domain)
    COLUMN(20, uint8_t, op)
    COLUMN(24, int64_t, time)
#undef COLUMN
    uint32_t *ends = builder_array(b, head + 28, (n + 1) * 4);
    for (uint32_t i = 0; ends && i <= n; i++)
        ends[i] = i == 0 ? 0 : log->entries[i - 1].tag_end;
    void *tags = builder_array(b, head + 32, log->tags_n);
    if (tags)
        memcpy(tags, log->tags, log->tags_n);
    builder_put32(b, head + 36, log->tags_n);
    builder_close(b);
}

/* ---- metrics ---- */

static Metric *metric_change(Handle *h)
{
    Engine *e = h->engine;
    Metric *m = &e->metrics[h->id];
    e->metrics_changed += !m->changed;
    m->changed = true;
    return m;
}

static PyObject *counter_add(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!_PyArg_CheckPositional("add", n, 0, 1))
        return NULL;
    long long by = n ? PyLong_AsLongLong(args[0]) : 1;
    if (by == -1 && PyErr_Occurred())
        return NULL;
    if (by < 0) {
        PyErr_SetString(PyExc_ValueError, "a counter only grows");
        return NULL;
    }
    metric_change((Handle *)self)->value += (uint64_t)by;
    Py_RETURN_NONE;
}

static PyObject *gauge_set(PyObject *self, PyObject *value)
{
    double v = PyFloat_AsDouble(value);
    if (v == -1 && PyErr_Occurred())
        return NULL;
    memcpy(&metric_change((Handle *)self)->value, &v, sizeof v);
    Py_RETURN_NONE;
}

void metrics_reset(Engine *e)
{
    if (e->metrics_changed)
        memset(e->metrics, 0, sizeof e->metrics);
    e->metrics_changed = 0;
}

void metrics_flush(Engine *e, Builder *b)
{
    if (e->metrics_changed == 0)
        return;
    uint32_t entry = builder_open(b, TM_SECTION_METRICS, 0, TM_METRICS_SIZE + e->metrics_changed * TM_METRIC_ENTRY_SIZE, 0);
    builder_put32(b, entry, e->metrics_changed);
    entry += TM_METRICS_SIZE;
    for (uint32_t i = 0; i < e->metrics_n; i++)
        if (e->metrics[i].changed) {
            builder_put16(b, entry, (uint16_t)i);
            builder_put64(b, entry + 8, e->metrics[i].value);
            entry += TM_METRIC_ENTRY_SIZE;
        }
    builder_close(b);
}

static PyMethodDef counter_methods[] = {{"add", FASTCALL(counter_add), "Adds n, 0 or more."}, {0}};
static PyMethodDef gauge_methods[] = {{"set", gauge_set, METH_O, "Sets the value."}, {0}};

PyTypeObject Counter_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Counter",
    .tp_basicsize = sizeof(Handle),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = counter_methods,
};

PyTypeObject Gauge_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Gauge",
    .tp_basicsize = sizeof(Handle),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = gauge_methods,
};

/* ---- the key ---- */

/* key_new makes a reader of the key of a Rows of tidemill._declare. */
KeyReader *key_new(Engine *e, PyObject *rows)
{
    KeyReader *k = (KeyReader *)handle_new(&KeyReader_Type, e, 0);
    if (!k || !(k->layout = layout_of(rows)))
        return NULL;
    k->columns = PyMem_Calloc(k->layout->n + 1, sizeof *k->columns);
    return k->columns ? k : (KeyReader *)PyErr_NoMemory();
}

/* key_load begins a frame. */
void key_load(KeyReader *k, Section keys)
{
    Column *columns = k->handle.engine->columns;
    section_columns(keys, TM_KEYS_SIZE, load32(keys.head + 12), columns);
    layout_columns(k->layout, columns, k->columns);
    Py_CLEAR(k->row);
}

/* key_get makes a row of the key once for all items of that key that follow each other, where the row cannot be changed. */
static PyObject *key_get(PyObject *self, PyObject *Py_UNUSED(none))
{
    KeyReader *k = (KeyReader *)self;
    uint32_t key = engine_key(k->handle.engine, "the key is read");
    if (key == TM_NO_KEY)
        return NULL;
    if (k->layout->cls)
        return column_row(k->layout, k->columns, key);
    if (!k->row || k->row_of != key) {
        Py_XSETREF(k->row, column_row(k->layout, k->columns, key));
        k->row_of = key;
    }
    return Py_XNewRef(k->row);
}

static PyMethodDef key_methods[] = {{"get", key_get, METH_NOARGS, "The current key."}, {0}};

PyTypeObject KeyReader_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Key",
    .tp_basicsize = sizeof(KeyReader),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = key_methods,
};
