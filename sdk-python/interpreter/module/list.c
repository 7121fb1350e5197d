/* List: a state of any number of values a key, in the order in which they were appended. What came with the frame is read
 * where it lies; what was asked for is kept as data; what was appended is a chain. */
#include "tidemill.h"

typedef struct {
    uint8_t status;  /* absent, inline (in the frame), ask, or: */
    bool cleared;    /* by the frame */
    bool touched;    /* by the frame */
    uint32_t from, to;                 /* elements that were there: rows of the frame's columns or, where asked for, of elements */
    uint32_t appended, first, last;    /* a chain in List.appended, 0 = none */
} ListCell;

enum { LIST_HERE = 4 }; /* asked for: the elements are in List.elements */

typedef struct {
    uint32_t next;
    Datum data[];
} Appended;

typedef struct {
    State state;
    ListCell *cells; /* by key */
    uint32_t cells_n, cells_capacity;
    Datum *elements;
    uint32_t elements_n, elements_capacity;
    uint8_t *appended; /* from 1 on */
    uint32_t appended_n, appended_capacity, stride;
    uint32_t *touched; /* keys in the order of their first change */
    uint32_t touched_n, touched_capacity;
} List;

static Appended *appended_at(const List *l, uint32_t i) { return (Appended *)(l->appended + (size_t)i * l->stride); }

static void forget(List *l)
{
    const Layout *value = l->state.value;
    for (uint32_t i = 0; i < l->elements_n; i++)
        data_clear(value, l->elements + (size_t)i * value->n);
    for (uint32_t i = 1; i < l->appended_n; i++)
        data_clear(value, appended_at(l, i)->data);
    l->elements_n = l->touched_n = l->cells_n = 0;
    l->appended_n = 1;
}

static int list_load(State *s, uint32_t keys, Section section)
{
    List *l = (List *)s;
    forget(l);
    if (grow(&l->cells, &l->cells_capacity, keys, sizeof *l->cells) < 0)
        return -1;
    memset(l->cells, 0, keys * sizeof *l->cells);
    l->cells_n = keys;
    const uint8_t *status = section_array(section, 16);
    const uint32_t *start = section_array(section, 20);
    for (uint32_t i = 0; i < keys; i++) {
        l->cells[i].status = status ? status[i] : CELL_ASK;
        if (status) {
            l->cells[i].from = start[i];
            l->cells[i].to = start[i + 1];
        }
    }
    if (status)
        state_columns(s, section);
    return 0;
}

static int list_flush(State *s, Builder *b)
{
    List *l = (List *)s;
    Changes *changes = &s->handle.engine->changes;
    changes->n = 0;
    for (uint32_t t = 0; t < l->touched_n; t++) {
        const ListCell *c = &l->cells[l->touched[t]];
        if (c->cleared && changes_add(changes, l->touched[t], 0, TM_OP_CLEAR) < 0)
            return -1;
        for (uint32_t n = c->appended, at = c->first; n > 0; n--, at = appended_at(l, at)->next)
            if (changes_add(changes, l->touched[t], at, TM_OP_APPEND) < 0)
                return -1;
    }
    if (changes->n == 0)
        return 0;
    memset(appended_at(l, 0), 0, l->stride); /* row 0 stands for no value */
    uint32_t nodes = changes_open(s, b, TM_STATE_LIST);
    Rows rows = {(uint8_t *)appended_at(l, 0)->data, l->stride, changes->n, changes->rows};
    rows_write(s->value, b, nodes, &rows);
    builder_close(b);
    return 0;
}

static const StateKind list_kind = {list_load, list_flush};

static int keep_elements(List *l, ListCell *c, Section block)
{
    const Layout *value = l->state.value;
    uint32_t rows = load32(block.head);
    Column *columns = l->state.handle.engine->columns;
    section_columns(block, TM_BLOCK_SIZE, load32(block.head + 8), columns);
    if (grow(&l->elements, &l->elements_capacity, l->elements_n + rows, value->n * sizeof(Datum)) < 0)
        return -1;
    c->from = l->elements_n;
    for (uint32_t i = 0; i < rows; i++, l->elements_n++)
        if (column_data(value, columns, i, l->elements + (size_t)l->elements_n * value->n) < 0)
            return -1;
    c->to = l->elements_n;
    c->status = LIST_HERE;
    return 0;
}

/* elements_of is the current key's cell with its elements at hand. */
static ListCell *elements_of(List *l)
{
    uint32_t key = state_key(&l->state);
    if (key == TM_NO_KEY)
        return NULL;
    ListCell *c = &l->cells[key];
    if (c->status != CELL_ASK)
        return c;
    Section block;
    int found = state_ask(&l->state, key, NULL, &block);
    if (found == 0)
        c->status = CELL_ABSENT;
    else if (found < 0 || keep_elements(l, c, block) < 0)
        return NULL;
    return c;
}

/* touch is the current key's cell, which is about to change. */
static ListCell *touch(List *l)
{
    uint32_t key = state_key(&l->state);
    if (key == TM_NO_KEY)
        return NULL;
    ListCell *c = &l->cells[key];
    if (!c->touched) {
        if (grow(&l->touched, &l->touched_capacity, l->touched_n + 1, sizeof *l->touched) < 0)
            return NULL;
        l->touched[l->touched_n++] = key;
        c->touched = true;
    }
    l->state.handle.engine->bytes += l->state.bytes;
    return c;
}

static PyObject *list_append(PyObject *self, PyObject *value)
{
    List *l = (List *)self;
    const Layout *layout = l->state.value;
    Datum data[layout->n];
    if (state_key(&l->state) == TM_NO_KEY || row_data(layout, value, l->state.what, data) < 0)
        return NULL;
    ListCell *c = touch(l);
    uint32_t at = l->appended_n;
    if (!c || grow(&l->appended, &l->appended_capacity, at + 1, l->stride) < 0) {
        data_clear(layout, data);
        return NULL;
    }
    memcpy(appended_at(l, at)->data, data, sizeof data);
    l->appended_n++;
    l->state.handle.engine->bytes += data_held_bytes(layout, data);
    if (c->appended++ == 0)
        c->first = at;
    else
        appended_at(l, c->last)->next = at;
    c->last = at;
    Py_RETURN_NONE;
}

static PyObject *list_clear(PyObject *self, PyObject *Py_UNUSED(none))
{
    ListCell *c = touch((List *)self);
    if (!c)
        return NULL;
    *c = (ListCell){.status = CELL_ABSENT, .cleared = true, .touched = true};
    Py_RETURN_NONE;
}

static Py_ssize_t list_len(PyObject *self)
{
    const ListCell *c = elements_of((List *)self);
    return c ? (Py_ssize_t)(c->to - c->from + c->appended) : -1;
}

/* ListLoop is a loop over a list as it was when the loop began: appending lengthens the chain behind its end, and clearing
 * forgets the chain but leaves it where it is. */
typedef struct {
    PyObject_HEAD
    List *list;
    uint64_t run;
    ListCell cell;
} ListLoop;

static PyObject *list_iter(PyObject *self)
{
    const ListCell *c = elements_of((List *)self);
    ListLoop *loop = c ? PyObject_New(ListLoop, &ListLoop_Type) : NULL;
    if (!loop)
        return NULL;
    loop->list = (List *)Py_NewRef(self);
    loop->run = loop->list->state.handle.engine->run;
    loop->cell = *c;
    return (PyObject *)loop;
}

static PyObject *loop_next(PyObject *self)
{
    ListLoop *loop = (ListLoop *)self;
    List *l = loop->list;
    ListCell *c = &loop->cell;
    const Layout *value = l->state.value;
    if (l->state.handle.engine->run != loop->run)
        return loop_ended(l->state.handle.engine, loop->run);
    if (c->from < c->to) {
        uint32_t i = c->from++;
        return c->status == LIST_HERE ? data_row(value, l->elements + (size_t)i * value->n) : column_row(value, l->state.columns, i);
    }
    if (c->appended == 0)
        return NULL;
    const Appended *a = appended_at(l, c->first);
    c->appended--;
    c->first = a->next;
    return data_row(value, a->data);
}

static void loop_dealloc(PyObject *self)
{
    Py_DECREF(((ListLoop *)self)->list);
    PyObject_Free(self);
}

PyTypeObject ListLoop_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.ListLoop",
    .tp_basicsize = sizeof(ListLoop),
    .tp_dealloc = loop_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = loop_next,
};

State *list_new(Engine *e, uint32_t id)
{
    State *s = (State *)handle_new(&List_Type, e, id);
    if (s)
        s->kind = &list_kind;
    return s;
}

int list_ready(State *s)
{
    List *l = (List *)s;
    l->stride = sizeof(Appended) + s->value->n * sizeof(Datum);
    l->appended_n = 1;
    return grow(&l->appended, &l->appended_capacity, 1, l->stride);
}

static PyMethodDef list_methods[] = {
    {"append", list_append, METH_O, "Appends a value."},
    {"clear", list_clear, METH_NOARGS, "Removes all values."},
    {0},
};

static PySequenceMethods list_sequence = {.sq_length = list_len};

PyTypeObject List_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.List",
    .tp_basicsize = sizeof(List),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_as_sequence = &list_sequence,
    .tp_iter = list_iter,
    .tp_methods = list_methods,
};
