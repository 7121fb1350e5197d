/* Ports whose rows are Python objects. An input port makes a row of each item and calls the user's method with it; an
 * output port takes rows apart into columns at once, so nothing of a row is kept. */
#include "tidemill.h"

int callback_set(Callback *c, PyObject *call, PyObject *place)
{
    Py_ssize_t n;
    const char *text = PyUnicode_AsUTF8AndSize(place, &n);
    if (!text)
        return -1;
    c->call = Py_NewRef(call);
    c->place = PyUnicode_AsUTF8(Py_NewRef(place));
    c->place_len = (uint32_t)n;
    return 0;
}

/* ---- input ---- */

/* input_new makes an input port of an InPort of tidemill._declare. */
Input *input_new(Engine *e, uint32_t id, PyObject *table, PyObject *place)
{
    PyObject *name, *rows, *handler, *columns;
    int how, event_time;
    if (!PyArg_ParseTuple(table, "UOOipO", &name, &rows, &handler, &how, &event_time, &columns))
        return NULL;
    Input *in = (Input *)handle_new(&Input_Type, e, id);
    if (!in || callback_set(&in->callback, handler, place) < 0 || !(in->layout = layout_of(rows)))
        return NULL;
    in->how = how;
    in->fields = PyMem_Calloc(in->layout->n + 1, sizeof *in->fields);
    return in->fields ? in : (Input *)PyErr_NoMemory();
}

/* load makes the columns of the frame those of the fields. */
static void load(Input *in)
{
    Engine *e = in->handle.engine;
    Section batch = e->frame.batch;
    section_columns(batch, TM_BATCH_SIZE, load32(batch.head + 8), e->columns);
    layout_columns(in->layout, e->columns, in->fields);
    for (uint32_t i = 0; i < in->layout->n; i++)
        if (in->layout->fields[i].column < 0)
            in->fields[i] = (Column){.type = TM_TIMESTAMP, .values = section_array(batch, 20)};
}

/* next_row is the row of an item. Where nobody kept the row of the one before, it is that object: only the driver still has
 * it then. */
static PyObject *next_row(Input *in, uint32_t i)
{
    if (!in->layout->reusable)
        return column_row(in->layout, in->fields, i);
    if (in->row && Py_REFCNT(in->row) == (i > 0 ? 2 : 1)) {
        if (column_reuse(in->layout, in->row, in->fields, i) < 0)
            return NULL;
    } else {
        Py_XSETREF(in->row, column_row(in->layout, in->fields, i));
    }
    return Py_XNewRef(in->row);
}

/* input_next begins the next item of the frame. The answer of the items before it decides whether there is one. */
static PyObject *input_next(PyObject *self)
{
    Input *in = (Input *)self;
    Engine *e = in->handle.engine;
    uint32_t i = in->next;
    if (i == in->limit || (i > 0 && e->bytes >= e->bytes_stop))
        return NULL;
    item_begin(&in->callback, i);
    if (in->keys)
        e->key = in->keys[i];
    in->next++;
    return next_row(in, i);
}

/* input_run processes the first items of a BATCH frame and tells how many took effect. The loop over them is a driver in
 * Python, because the interpreter calls a function from there several times as fast as from C. */
int input_run(Input *in, uint32_t limit, uint32_t *done)
{
    load(in);
    if (in->how == HOW_BATCH)
        return batch_run(in, limit, done);
    Engine *e = in->handle.engine;
    in->keys = section_array(e->frame.keys, 16);
    in->next = 0;
    in->limit = limit;
    PyObject *driver = PyTuple_GET_ITEM(e->drivers, in->how);
    PyObject *out = e->outputs_n > 0 ? (PyObject *)e->outputs[0] : Py_None;
    PyObject *result = PyObject_CallFunctionObjArgs(driver, (PyObject *)in, in->callback.call, out, NULL);
    *done = in->next;
    Py_XDECREF(result);
    return result ? 0 : -1;
}

PyTypeObject Input_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.In",
    .tp_basicsize = sizeof(Input),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = input_next,
};

/* ---- output ---- */

static int parse_passed(Output *out, PyObject *passed)
{
    out->passed_n = (uint32_t)PyTuple_GET_SIZE(passed);
    out->passed = PyMem_Calloc(out->passed_n + 1, sizeof *out->passed);
    if (!out->passed)
        return -1;
    for (uint32_t i = 0; i < out->passed_n; i++) {
        Passed *p = &out->passed[i];
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(passed, i), "IHIH", &p->column, &p->flag, &p->ref, &p->type))
            return -1;
    }
    return 0;
}

/* number_nodes finds out where the nodes of the columns are: behind that of a list is that of its elements. What is passed
 * through has one. */
static int number_nodes(Output *out)
{
    out->nodes = PyMem_Calloc(out->columns_n + 1, sizeof *out->nodes);
    if (!out->nodes) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i < out->layout->n; i++)
        out->nodes[out->layout->fields[i].column] = node_count(&out->layout->fields[i]) - 1;
    for (uint32_t i = 0; i < out->columns_n; i++) {
        uint32_t more = out->nodes[i];
        out->nodes[i] = out->nodes_n;
        out->nodes_n += 1 + more;
    }
    return 0;
}

/* make_values makes what the fields of emitted rows are collected in. */
static int make_values(Output *out)
{
    const Layout *l = out->layout;
    out->values = PyMem_Calloc(l->n + 1, sizeof *out->values);
    out->data = PyMem_Calloc(l->n + 1, sizeof *out->data);
    bool made = out->values && out->data;
    for (uint32_t i = 0; made && i < l->n; i++)
        if (l->fields[i].element)
            made = (out->values[i].element = PyMem_Calloc(1, sizeof(Values))) != NULL;
    if (!made)
        PyErr_NoMemory();
    return made ? 0 : -1;
}

/* output_new makes an output port of an OutPort of tidemill._declare. */
Output *output_new(Engine *e, uint32_t id, PyObject *table)
{
    PyObject *name, *attribute, *rows, *passed, *schema, *event_time;
    int batch, input;
    unsigned int bytes;
    if (!PyArg_ParseTuple(table, "UOOO!piO!OI", &name, &attribute, &rows, &PyTuple_Type, &passed, &batch, &input, &PyTuple_Type, &schema,
                          &event_time, &bytes))
        return NULL;
    Output *out = (Output *)handle_new(batch ? &BatchOutput_Type : &Output_Type, e, id);
    if (!out || !(out->layout = layout_of(rows)) || parse_passed(out, passed) < 0)
        return NULL;
    out->columns_n = (uint32_t)PyTuple_GET_SIZE(schema);
    out->input = input;
    out->row_bytes = bytes;
    out->what = PyUnicode_FromFormat("port %U", name);
    return out->what && number_nodes(out) == 0 && make_values(out) == 0 ? out : NULL;
}

/* output_check says whether rows can be emitted now. */
int output_check(Output *out)
{
    Engine *e = out->handle.engine;
    if (!e->running) {
        PyErr_SetString(PyExc_RuntimeError, "a row is emitted where no callback is under way");
        return -1;
    }
    if (out->input >= 0 && (e->frame.kind != TM_KIND_BATCH || e->frame.port != (uint32_t)out->input)) {
        PyErr_SetObject(PyExc_RuntimeError, out->input_error);
        return -1;
    }
    return 0;
}

/* check_item says whether a row can belong to the item under way. */
static int check_item(Output *out)
{
    if (output_check(out) < 0)
        return -1;
    if (out->passed_n == 0 || fault_cell.item != TM_ITEM_NONE)
        return 0;
    PyErr_Format(PyExc_RuntimeError, "%U passes columns through where no item is under way", out->what);
    return -1;
}

/* reserve_item makes room for a row of the item under way, and add_item adds it where nothing can fail any more. */
static int reserve_item(Output *out) { return grow(&out->items, &out->items_capacity, out->n + 1, sizeof *out->items); }

static void add_item(Output *out, uint32_t held_bytes)
{
    out->items[out->n++] = fault_cell.item;
    out->handle.engine->bytes += out->row_bytes + held_bytes;
}

static void put_bit(uint8_t *bits, uint32_t i, bool v)
{
    uint8_t mask = (uint8_t)(1 << (i & 7));
    bits[i >> 3] = v ? bits[i >> 3] | mask : bits[i >> 3] & ~mask;
}

/* reserve_cut makes room for count values of varying size behind the n that are there, of size bytes or elements together;
 * it returns where these will begin. */
static int64_t reserve_cut(Values *v, uint32_t n, uint32_t count, uint64_t size)
{
    if (grow(&v->offsets, &v->offsets_capacity, n + count + 1, sizeof *v->offsets) < 0)
        return -1;
    if (n == 0)
        v->offsets[0] = 0;
    if (size <= INT32_MAX - (uint32_t)v->offsets[n])
        return v->offsets[n];
    PyErr_NoMemory();
    return -1;
}

/* reserve_values makes room for count values of a field behind the n that are there, and adds up what their contents take. */
static int reserve_values(const Field *f, Values *v, uint32_t n, const Datum *data, uint32_t count, uint32_t *held_bytes)
{
    if (f->nullable && grow(&v->validity, &v->validity_capacity, (n + count) / 8 + 1, 1) < 0)
        return -1;
    if (!is_held(f->type))
        return grow(&v->values, &v->values_capacity, (n + count) * type_width(f->type), 1);
    uint64_t size = 0;
    for (uint32_t i = 0, length; i < count; i++)
        if (data[i].valid && f->element) {
            size += (uint64_t)Py_SIZE(data[i].list);
        } else if (data[i].valid) {
            text_bytes(&data[i], &length);
            size += length;
        }
    int64_t from = reserve_cut(v, n, count, size);
    if (from < 0)
        return -1;
    if (!f->element) {
        *held_bytes += (uint32_t)size;
        return grow(&v->values, &v->values_capacity, (uint32_t)(from + (int64_t)size), 1);
    }
    if (size == 0)
        return 0;
    const Field *element = &f->element->fields[0];
    *held_bytes += (uint32_t)size * type_width(element->type);
    return reserve_values(element, v->element, (uint32_t)from, data->list->data, (uint32_t)size, held_bytes); /* count is 1 */
}

static void put_value(const Field *f, Values *v, uint32_t n, const Datum *d)
{
    if (f->nullable) {
        put_bit(v->validity, n, d->valid);
        v->nulls += !d->valid;
    }
    switch (f->type) {
    case TM_BOOL:
        put_bit(v->values, n, d->i);
        break;
    case TM_I8:
        ((int8_t *)v->values)[n] = (int8_t)d->i;
        break;
    case TM_I16:
        ((int16_t *)v->values)[n] = (int16_t)d->i;
        break;
    case TM_I32:
    case TM_DATE32:
        ((int32_t *)v->values)[n] = (int32_t)d->i;
        break;
    case TM_F32:
        ((float *)v->values)[n] = d->valid ? (float)d->f : 0;
        break;
    case TM_DECIMAL128:
        ((Decimal *)v->values)[n] = d->valid ? d->decimal : (Decimal){0};
        break;
    case TM_LIST: {
        uint32_t from = (uint32_t)v->offsets[n], count = d->valid ? (uint32_t)Py_SIZE(d->list) : 0;
        for (uint32_t i = 0; i < count; i++)
            put_value(&f->element->fields[0], v->element, from + i, &d->list->data[i]);
        v->offsets[n + 1] = (int32_t)(from + count);
        break;
    }
    case TM_UTF8:
    case TM_BINARY: {
        uint32_t size = 0;
        const char *text = d->valid ? text_bytes(d, &size) : NULL;
        if (size)
            memcpy(v->values + v->offsets[n], text, size);
        v->offsets[n + 1] = v->offsets[n] + (int32_t)size;
        break;
    }
    default:
        ((int64_t *)v->values)[n] = d->i; /* also f64, by its bits */
    }
}

/* output_emit takes a row of the user's. It takes all of it or, with an exception that the user's code may catch, nothing.
 */
static int output_emit(Output *out, PyObject *row)
{
    const Layout *l = out->layout;
    if (check_item(out) < 0 || row_data(l, row, out->what, out->data) < 0)
        return -1;
    uint32_t held_bytes = 0;
    int r = reserve_item(out);
    for (uint32_t i = 0; r == 0 && i < l->n; i++)
        r = reserve_values(&l->fields[i], &out->values[i], out->n, &out->data[i], 1, &held_bytes);
    if (r == 0) {
        for (uint32_t i = 0; i < l->n; i++)
            put_value(&l->fields[i], &out->values[i], out->n, &out->data[i]);
        add_item(out, held_bytes);
    }
    data_clear(l, out->data);
    return r;
}

void output_reset(Output *out)
{
    out->n = 0;
    for (uint32_t i = 0; i < out->layout->n; i++)
        out->values[i].nulls = 0;
    batch_reset(out);
}

/* output_sections is the most that output_flush adds to the answer. */
uint32_t output_sections(const Output *out) { return 1 + out->emitted_n; }

/* output_open opens a section of so many rows and fills in the passed columns; it returns where the head is. */
uint32_t output_open(Output *out, Builder *b, uint32_t rows)
{
    uint32_t head = builder_open(b, TM_SECTION_BATCH, (uint16_t)out->handle.id, TM_BATCH_SIZE, out->nodes_n);
    builder_put32(b, head, rows);
    builder_put32(b, head + 4, out->columns_n);
    builder_put32(b, head + 8, out->nodes_n);
    for (uint32_t i = 0; i < out->passed_n; i++) {
        const Passed *p = &out->passed[i];
        uint32_t node = head + TM_BATCH_SIZE + out->nodes[p->column] * TM_NODE_SIZE;
        builder_put16(b, node, p->type);
        builder_put16(b, node + 2, p->flag);
        builder_put32(b, node + 4, rows);
        builder_put32(b, node + 32, p->ref);
    }
    return head;
}

/* identity says whether row i belongs to item i, for all items that took effect. */
static bool identity(const Output *out, uint32_t done)
{
    if (out->n != done)
        return false;
    for (uint32_t i = 0; i < out->n; i++)
        if (out->items[i] != i)
            return false;
    return true;
}

static void lend_values(Builder *b, uint32_t node, const Field *f, const Values *v, uint32_t n)
{
    builder_put16(b, node, f->type);
    builder_put32(b, node + 4, n);
    if (f->element) {
        builder_put32(b, node + 12, 1);
        lend_values(b, node + TM_NODE_SIZE, &f->element->fields[0], v->element, (uint32_t)v->offsets[n]);
    }
    if (n == 0) /* elements of lists that are all empty */
        return;
    if (v->nulls) {
        builder_put32(b, node + 8, v->nulls);
        builder_lend(b, node + 16, v->validity, (n + 7) / 8);
    }
    if (f->type == TM_BOOL) {
        builder_lend(b, node + 32, v->values, (n + 7) / 8);
    } else if (is_held(f->type)) {
        builder_lend(b, node + 24, v->offsets, (n + 1) * 4);
        if (!f->element)
            builder_lend(b, node + 32, v->values, (uint32_t)v->offsets[n]);
    } else {
        builder_lend(b, node + 32, v->values, n * type_width(f->type));
    }
}

/* output_flush adds the rows emitted since output_reset to the answer; done is the number of items that took effect. */
void output_flush(Output *out, Builder *b, uint32_t done)
{
    if (out->emitted_n > 0) {
        batch_flush(out, b);
        return;
    }
    if (out->n == 0)
        return;
    uint32_t head = output_open(out, b, out->n);
    if (identity(out, done)) {
        builder_put32(b, head + 12, TM_BATCH_IDENTITY);
    } else {
        void *items = builder_array(b, head + 16, out->n * 4);
        if (items)
            memcpy(items, out->items, out->n * 4);
    }
    for (uint32_t i = 0; i < out->layout->n; i++) {
        const Field *f = &out->layout->fields[i];
        lend_values(b, output_node(out, head, f), f, &out->values[i], out->n);
    }
    builder_close(b);
}

static PyObject *emit(PyObject *self, PyObject *row)
{
    if (output_emit((Output *)self, row) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef output_methods[] = {
    {"emit", emit, METH_O, "Emits a row."},
    {0},
};

PyTypeObject Output_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Out",
    .tp_basicsize = sizeof(Output),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = output_methods,
};
