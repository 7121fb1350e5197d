/* Value: a state of one value a key. What came with the frame is read where it lies; what was asked for or written is in
 * the cell. */
#include "tidemill.h"

/* The status of a cell, besides what the host says of it. */
enum { CELL_HERE = 4, CELL_WRITTEN, CELL_CLEARED };

typedef struct {
    uint32_t status;
    Datum data[]; /* where CELL_HERE or CELL_WRITTEN */
} Stored;

typedef struct {
    State state;
    uint8_t *cells; /* by key */
    uint32_t n, capacity, stride;
} Value;

static Stored *cell_at(const Value *v, uint32_t i) { return (Stored *)(v->cells + (size_t)i * v->stride); }

static bool has_data(const Stored *c) { return c->status == CELL_HERE || c->status == CELL_WRITTEN; }

static void set_status(const Value *v, Stored *c, uint32_t status)
{
    if (has_data(c))
        data_clear(v->state.value, c->data);
    c->status = status;
}

static int value_load(State *s, uint32_t keys, Section section)
{
    Value *v = (Value *)s;
    if (s->value->holds)
        for (uint32_t i = 0; i < v->n; i++)
            set_status(v, cell_at(v, i), CELL_ABSENT);
    v->n = 0;
    if (grow(&v->cells, &v->capacity, keys, v->stride) < 0)
        return -1;
    v->n = keys;
    const uint8_t *status = section_array(section, 16);
    for (uint32_t i = 0; i < keys; i++)
        cell_at(v, i)->status = status ? status[i] : CELL_ASK;
    if (status)
        state_columns(s, section);
    return 0;
}

static int value_flush(State *s, Builder *b)
{
    Value *v = (Value *)s;
    Changes *changes = &s->handle.engine->changes;
    changes->n = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t status = cell_at(v, i)->status;
        if (status >= CELL_WRITTEN && changes_add(changes, i, i, status == CELL_WRITTEN ? TM_OP_SET : TM_OP_CLEAR) < 0)
            return -1;
        if (status == CELL_CLEARED)
            memset(cell_at(v, i)->data, 0, s->value->n * sizeof(Datum));
    }
    if (changes->n == 0)
        return 0;
    uint32_t nodes = changes_open(s, b, TM_STATE_VALUE);
    Rows rows = {(uint8_t *)cell_at(v, 0)->data, v->stride, changes->n, changes->rows};
    rows_write(s->value, b, nodes, &rows);
    builder_close(b);
    return 0;
}

static const StateKind value_kind = {value_load, value_flush};

/* cell is the current key's cell, asked for if it did not come with the frame. */
static Stored *cell(Value *v)
{
    uint32_t key = state_key(&v->state);
    if (key == TM_NO_KEY)
        return NULL;
    Stored *c = cell_at(v, key);
    if (c->status != CELL_ASK)
        return c;
    Section block;
    int found = state_ask(&v->state, key, NULL, &block);
    if (found < 0)
        return NULL;
    if (!found) {
        c->status = CELL_ABSENT;
        return c;
    }
    Column *columns = v->state.handle.engine->columns;
    section_columns(block, TM_BLOCK_SIZE, load32(block.head + 8), columns);
    if (column_data(v->state.value, columns, 0, c->data) < 0)
        return NULL;
    c->status = CELL_HERE;
    return c;
}

static PyObject *value_get(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Value *v = (Value *)self;
    if (!_PyArg_CheckPositional("get", n, 0, 1))
        return NULL;
    const Stored *c = cell(v);
    if (!c)
        return NULL;
    if (c->status == CELL_INLINE)
        return column_row(v->state.value, v->state.columns, v->state.handle.engine->key);
    if (has_data(c))
        return data_row(v->state.value, c->data);
    return Py_NewRef(n ? args[0] : Py_None);
}

static PyObject *value_has(PyObject *self, PyObject *Py_UNUSED(none))
{
    const Stored *c = cell((Value *)self);
    return c ? PyBool_FromLong(c->status == CELL_INLINE || has_data(c)) : NULL;
}

/* change is the current key's cell, which is about to change. */
static Stored *change(Value *v)
{
    uint32_t key = state_key(&v->state);
    if (key == TM_NO_KEY)
        return NULL;
    Stored *c = cell_at(v, key);
    if (c->status < CELL_WRITTEN)
        v->state.handle.engine->bytes += v->state.bytes;
    return c;
}

static PyObject *value_set(PyObject *self, PyObject *value)
{
    Value *v = (Value *)self;
    const Layout *l = v->state.value;
    Datum written[l->n];
    Stored *c = change(v);
    if (!c || row_data(l, value, v->state.what, written) < 0)
        return NULL;
    set_status(v, c, CELL_WRITTEN);
    memcpy(c->data, written, sizeof written);
    v->state.handle.engine->bytes += data_held_bytes(l, c->data);
    Py_RETURN_NONE;
}

static PyObject *value_clear(PyObject *self, PyObject *Py_UNUSED(none))
{
    Stored *c = change((Value *)self);
    if (!c)
        return NULL;
    set_status((Value *)self, c, CELL_CLEARED);
    Py_RETURN_NONE;
}

State *value_new(Engine *e, uint32_t id)
{
    State *s = (State *)handle_new(&Value_Type, e, id);
    if (s)
        s->kind = &value_kind;
    return s;
}

int value_ready(State *s)
{
    ((Value *)s)->stride = sizeof(Stored) + s->value->n * sizeof(Datum);
    return 0;
}

static PyMethodDef value_methods[] = {
    {"get", (PyCFunction)(void (*)(void))value_get, METH_FASTCALL, "The value, or the default where there is none."},
    {"has", value_has, METH_NOARGS, "Whether there is a value."},
    {"set", value_set, METH_O, "Sets the value. Setting an equal value is a write."},
    {"clear", value_clear, METH_NOARGS, "Removes the value."},
    {0},
};

PyTypeObject Value_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Value",
    .tp_basicsize = sizeof(Value),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = value_methods,
};
