/* Ports whose rows come and go as columns. Columns of the input are memoryviews of the frame that end with the handler;
 * columns for output are buffers of the user's, which are held until the next frame and not copied. */
#include "tidemill.h"

/* ---- input ---- */

/* Views are memoryviews that end with the handler. */
typedef struct {
    PyObject **list;
    uint32_t n, capacity;
} Views;

typedef struct {
    Handle handle;
    PyObject *columns;
    uint32_t rows;
} Batch;

/* format_of is the format of numbers. */
static char *format_of(uint16_t type)
{
    switch (type) {
    case TM_I8:
        return "b";
    case TM_I16:
        return "h";
    case TM_I32:
    case TM_DATE32:
        return "i";
    case TM_F32:
        return "f";
    case TM_F64:
        return "d";
    default:
        return "q";
    }
}

/* view makes a memoryview of n elements of a format, or None of no memory. */
static PyObject *view(Views *views, const void *memory, uint32_t n, char *format)
{
    static const uint8_t nothing[8];
    Py_ssize_t size = format[0] == 'B' || format[0] == 'b' ? 1 : format[0] == 'h' ? 2 : format[0] == 'i' || format[0] == 'f' ? 4 : 8;
    Py_ssize_t shape = n, stride = size;
    Py_buffer info = {
        .buf = (void *)(memory ? memory : nothing), .len = size * shape, .itemsize = size, .readonly = 1, .ndim = 1, .format = format,
        .shape = &shape, .strides = &stride,
    };
    if (grow(&views->list, &views->capacity, views->n + 1, sizeof *views->list) < 0)
        return NULL;
    PyObject *v = PyMemoryView_FromBuffer(&info);
    if (v)
        views->list[views->n++] = Py_NewRef(v);
    return v;
}

/* views_end makes the views, and all that were made of them, unusable: the memory is about to become another frame. */
static void views_end(Views *views)
{
    for (uint32_t i = 0; i < views->n; i++) {
        _PyManagedBufferObject *memory = ((PyMemoryViewObject *)views->list[i])->mbuf;
        if (!(memory->flags & _Py_MANAGED_BUFFER_RELEASED)) {
            memory->flags |= _Py_MANAGED_BUFFER_RELEASED;
            PyObject_GC_UnTrack(memory);
            PyBuffer_Release(&memory->master);
        }
        Py_DECREF(views->list[i]);
    }
    PyMem_Free(views->list);
}

static PyObject *column(Engine *e, const Field *f, const Column *c, uint32_t rows, Views *views);

/* values_of is the values of a Column: a view or, of a list, the Column of its elements. */
static PyObject *values_of(Engine *e, const Field *f, const Column *c, uint32_t rows, Views *views)
{
    uint32_t cut = c->offsets ? (uint32_t)c->offsets[rows] : 0; /* without rows there are no offsets */
    switch (c->type) {
    case TM_LIST: {
        Column elements = column_elements(c);
        return column(e, &f->element->fields[0], &elements, cut, views);
    }
    case TM_UTF8:
    case TM_BINARY:
        return view(views, c->values, cut, "B");
    case TM_BOOL:
        return view(views, c->values, (rows + 7) / 8, "B");
    case TM_DECIMAL128:
        return view(views, c->values, rows * type_width(TM_DECIMAL128), "B");
    default:
        return view(views, c->values, rows, format_of(c->type));
    }
}

/* column makes a Column of one field. */
static PyObject *column(Engine *e, const Field *f, const Column *c, uint32_t rows, Views *views)
{
    static const int32_t no_rows[1];
    PyObject *values = values_of(e, f, c, rows, views);
    PyObject *offsets = is_held(c->type) ? view(views, c->offsets ? c->offsets : no_rows, rows + 1, "i") : Py_NewRef(Py_None);
    PyObject *validity = c->validity ? view(views, c->validity, (rows + 7) / 8, "B") : Py_NewRef(Py_None);
    PyObject *made = NULL;
    if (values && offsets && validity)
        made = PyObject_CallFunction(e->column, "IOOOIi", (unsigned int)rows, values, offsets, validity, (unsigned int)f->type,
                                     (int)f->scale);
    Py_XDECREF(values);
    Py_XDECREF(offsets);
    Py_XDECREF(validity);
    return made;
}

/* no_times is the event times of a stream that has none. */
static const void *no_times(Engine *e, uint32_t rows)
{
    if (grow(&e->times, &e->times_capacity, rows, sizeof *e->times) < 0)
        return NULL;
    for (uint32_t i = 0; i < rows; i++)
        e->times[i] = TM_WATERMARK_NONE;
    return e->times;
}

static PyObject *batch_columns(Input *in, uint32_t rows, Views *views)
{
    Engine *e = in->handle.engine;
    const Layout *l = in->layout;
    PyObject *values[l->n + 1];
    for (uint32_t i = 0; i < l->n; i++) {
        Column *c = &in->fields[i];
        if (l->fields[i].column < 0 && !c->values)
            c->values = no_times(e, rows);
        values[i] = PyErr_Occurred() ? NULL : column(e, &l->fields[i], c, rows, views);
        if (!values[i]) {
            while (i-- > 0)
                Py_DECREF(values[i]);
            return NULL;
        }
    }
    return values_row(l, values);
}

static int call_batch(Input *in, Batch *batch)
{
    PyObject *result = PyObject_CallOneArg(in->callback.call, (PyObject *)batch);
    int r = result ? engine_result(in->callback.call, result) : -1;
    Py_XDECREF(result);
    return r;
}

/* batch_run hands the first items of a BATCH frame to the handler, all of which then took effect. */
int batch_run(Input *in, uint32_t limit, uint32_t *done)
{
    Views views = {0};
    int r = -1;
    item_begin(&in->callback, TM_ITEM_NONE);
    PyObject *columns = batch_columns(in, limit, &views);
    Batch *batch = columns ? (Batch *)handle_new(&Batch_Type, in->handle.engine, 0) : NULL;
    if (batch) {
        batch->columns = columns;
        batch->rows = limit;
        r = call_batch(in, batch);
        batch->rows = 0; /* a kept one selects nothing */
        Py_DECREF(batch);
    }
    views_end(&views);
    *done = limit;
    return r;
}

static PyObject *batch_select(PyObject *self, PyObject *row)
{
    Batch *b = (Batch *)self;
    Engine *e = b->handle.engine;
    Py_ssize_t i = PyNumber_AsSsize_t(row, PyExc_IndexError);
    if (i == -1 && PyErr_Occurred())
        return NULL;
    if (i < 0 || i >= b->rows) {
        PyErr_SetString(PyExc_IndexError, "there is no such row");
        return NULL;
    }
    const uint32_t *keys = section_array(e->frame.keys, 16);
    fault_cell.item = (uint32_t)i;
    if (keys)
        e->key = keys[i];
    Py_RETURN_NONE;
}

static PyObject *batch_get_columns(PyObject *self, void *Py_UNUSED(closure)) { return Py_NewRef(((Batch *)self)->columns); }

static PyObject *batch_get_rows(PyObject *self, void *Py_UNUSED(closure)) { return PyLong_FromUnsignedLong(((Batch *)self)->rows); }

static void batch_dealloc(PyObject *self)
{
    Py_DECREF(((Batch *)self)->columns);
    Py_DECREF(((Batch *)self)->handle.engine);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef batch_methods[] = {{"select", batch_select, METH_O, "Makes a row the item under way."}, {0}};

static PyGetSetDef batch_fields[] = {
    {"columns", batch_get_columns, NULL, "The columns.", NULL},
    {"rows", batch_get_rows, NULL, "The number of rows.", NULL},
    {0},
};

PyTypeObject Batch_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Batch",
    .tp_basicsize = sizeof(Batch),
    .tp_dealloc = batch_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = batch_methods,
    .tp_getset = batch_fields,
};

/* ---- output ---- */

/* What an emitted row takes besides its columns: the item it belongs to, and event time and position in the host. */
#define ROW_BYTES (4 + 16)

/* EmittedColumn is one column of what was emitted, or the elements of one of lists; obj of a buffer is NULL where it is
 * absent. */
typedef struct {
    Py_buffer values, offsets, validity;
    uint32_t rows, nulls;
} EmittedColumn;

/* Emitted is one section of an answer. */
struct Emitted {
    uint32_t rows;
    uint32_t *items; /* NULL: a row for each item */
    EmittedColumn *columns; /* two a field: of a list, the second is its elements */
};

static void release(const Output *out, struct Emitted *m)
{
    for (uint32_t i = 0; m->columns && i < 2 * out->layout->n; i++) {
        PyBuffer_Release(&m->columns[i].values);
        PyBuffer_Release(&m->columns[i].offsets);
        PyBuffer_Release(&m->columns[i].validity);
    }
    PyMem_Free(m->columns);
    PyMem_Free(m->items);
}

void batch_reset(Output *out)
{
    while (out->emitted_n > 0)
        release(out, &out->emitted[--out->emitted_n]);
}

static int hold(PyObject *object, Py_buffer *b) { return object == Py_None ? 0 : PyObject_GetBuffer(object, b, PyBUF_SIMPLE); }

/* hold_column holds the buffers of a Buffers of tidemill._column, and those of its elements next to them; it returns their
 * length or -1. */
static int64_t hold_column(PyObject *buffers, EmittedColumn *to)
{
    PyObject *values, *offsets, *validity, *element;
    unsigned int rows, nulls;
    if (!PyArg_ParseTuple(buffers, "IOOOIO", &rows, &values, &offsets, &validity, &nulls, &element) || hold(values, &to->values) < 0 ||
        hold(offsets, &to->offsets) < 0 || hold(validity, &to->validity) < 0)
        return -1;
    to->rows = rows;
    to->nulls = nulls;
    int64_t size = to->values.len + to->offsets.len + to->validity.len;
    int64_t more = element == Py_None ? 0 : hold_column(element, to + 1);
    return more < 0 ? -1 : size + more;
}

/* take_column holds the buffers of one field of the emitted object, and returns their length or -1. */
static int64_t take_column(Output *out, const Field *f, PyObject *columns, uint32_t rows, EmittedColumn *to)
{
    PyObject *value = PyObject_GetAttr(columns, f->attribute);
    if (!value)
        return -1;
    int element_form = f->element ? f->element->fields[0].form : 0;
    PyObject *buffers = PyObject_CallFunction(out->handle.engine->buffers, "OOOIiiI", value, f->name, f->declared, (unsigned int)f->form,
                                              (int)f->nullable, element_form, (unsigned int)rows);
    Py_DECREF(value);
    int64_t size = buffers ? hold_column(buffers, to) : -1;
    Py_XDECREF(buffers);
    return size;
}

/* emit_columns takes over items. */
static PyObject *emit_columns(Output *out, PyObject *columns, uint32_t *items, uint32_t rows)
{
    const Layout *l = out->layout;
    Engine *e = out->handle.engine;
    struct Emitted m = {.rows = rows, .items = items};
    int64_t size = (int64_t)rows * ROW_BYTES;
    if (l->cls && !PyObject_TypeCheck(columns, l->cls)) {
        PyErr_Format(PyExc_TypeError, "%U: it takes %s, not %T", out->what, l->cls->tp_name, columns);
        size = -1;
    } else if (grow(&out->emitted, &out->emitted_capacity, out->emitted_n + 1, sizeof m) < 0 ||
               !(m.columns = PyMem_Calloc(2 * l->n + 1, sizeof *m.columns))) {
        PyErr_NoMemory();
        size = -1;
    }
    for (uint32_t i = 0; size >= 0 && i < l->n; i++) {
        int64_t n = take_column(out, &l->fields[i], columns, rows, &m.columns[2 * i]);
        size = n < 0 ? -1 : size + n;
    }
    if (size < 0) {
        release(out, &m);
        return NULL;
    }
    out->emitted[out->emitted_n++] = m;
    e->bytes += size;
    Py_RETURN_NONE;
}

static PyObject *emit(PyObject *self, PyObject *columns)
{
    Output *out = (Output *)self;
    return output_check(out) < 0 ? NULL : emit_columns(out, columns, NULL, out->handle.engine->items);
}

static uint32_t *items_of(PyObject *sequence, uint32_t below, uint32_t *n)
{
    PyObject *fast = PySequence_Fast(sequence, "items must be a sequence of row numbers");
    if (!fast)
        return NULL;
    *n = (uint32_t)PySequence_Fast_GET_SIZE(fast);
    uint32_t *items = PyMem_Malloc((*n + 1) * sizeof *items);
    if (!items)
        PyErr_NoMemory();
    for (uint32_t i = 0; items && i < *n; i++) {
        Py_ssize_t item = PyNumber_AsSsize_t(PySequence_Fast_GET_ITEM(fast, i), PyExc_IndexError);
        if (item < 0 || item >= below) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_IndexError, "there is no such row");
            PyMem_Free(items);
            items = NULL;
        } else {
            items[i] = (uint32_t)item;
        }
    }
    Py_DECREF(fast);
    return items;
}

static PyObject *emit_for(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Output *out = (Output *)self;
    uint32_t rows;
    if (!_PyArg_CheckPositional("emit_for", n, 2, 2) || output_check(out) < 0)
        return NULL;
    uint32_t *items = items_of(args[0], out->handle.engine->items, &rows);
    return items ? emit_columns(out, args[1], items, rows) : NULL;
}

/* lend makes a held buffer one of the answer; what is not aligned to its elements is copied. */
static void lend(Builder *b, uint32_t span, const Py_buffer *held, uint32_t align)
{
    if (held->len > 0 && (uintptr_t)held->buf % align != 0) {
        void *to = builder_buffer(b, span, (uint32_t)held->len);
        if (to)
            memcpy(to, held->buf, (size_t)held->len);
    } else if (held->len > 0) {
        builder_lend(b, span, held->buf, (uint32_t)held->len);
    }
}

/* lend_column writes the nodes of a column. */
static void lend_column(Builder *b, uint32_t node, const Field *f, const EmittedColumn *c)
{
    uint32_t width = type_width(f->type);
    builder_put16(b, node, f->type);
    builder_put32(b, node + 4, c->rows);
    builder_put32(b, node + 8, c->nulls);
    lend(b, node + 16, &c->validity, 1);
    lend(b, node + 24, &c->offsets, 4);
    lend(b, node + 32, &c->values, is_text(f->type) ? 1 : width < 8 ? width : 8);
    if (f->element) {
        builder_put32(b, node + 12, 1);
        lend_column(b, node + TM_NODE_SIZE, &f->element->fields[0], c + 1);
    }
}

/* batch_flush adds what was emitted to the answer. */
void batch_flush(Output *out, Builder *b)
{
    for (uint32_t k = 0; k < out->emitted_n; k++) {
        const struct Emitted *m = &out->emitted[k];
        uint32_t head = output_open(out, b, m->rows);
        void *items = m->items ? builder_array(b, head + 16, m->rows * 4) : NULL;
        if (items)
            memcpy(items, m->items, m->rows * 4);
        if (!m->items)
            builder_put32(b, head + 12, TM_BATCH_IDENTITY);
        for (uint32_t i = 0; i < out->layout->n; i++) {
            const Field *f = &out->layout->fields[i];
            lend_column(b, output_node(out, head, f), f, &m->columns[2 * i]);
        }
        builder_close(b);
    }
}

static PyMethodDef output_methods[] = {
    {"emit", emit, METH_O, "Emits one row for each row of the batch under way."},
    {"emit_for", (PyCFunction)(void (*)(void))emit_for, METH_FASTCALL, "Emits rows of which row j belongs to row items[j]."},
    {0},
};

PyTypeObject BatchOutput_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.BatchOut",
    .tp_basicsize = sizeof(Output),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = output_methods,
};
