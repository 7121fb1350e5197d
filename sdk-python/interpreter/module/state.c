/* What the states of all kinds have: making them, asking the host for a cell, and the section of their changes. */
#include "tidemill.h"

/* state_new makes a state of a State of tidemill._declare. */
State *state_new(Engine *e, uint32_t id, PyObject *table)
{
    PyObject *name, *attribute, *key, *value, *ttl_ms; /* expiring is the host's */
    int kind;
    unsigned int bytes;
    if (!PyArg_ParseTuple(table, "UOiOOIO", &name, &attribute, &kind, &key, &value, &bytes, &ttl_ms))
        return NULL;
    State *s = kind == TM_STATE_VALUE ? value_new(e, id) : kind == TM_STATE_LIST ? list_new(e, id) : map_new(e, id);
    if (!s)
        return NULL;
    s->bytes = bytes;
    s->what = PyUnicode_FromFormat("state %U", name);
    s->what_key = PyUnicode_FromFormat("the key of state %U", name);
    s->value = layout_of(value);
    if (!s->what || !s->what_key || !s->value || (kind == TM_STATE_MAP && !(s->key = layout_of(key))))
        return NULL;
    s->columns = PyMem_Calloc(s->value->n + (s->key ? s->key->n : 0) + 1, sizeof *s->columns);
    if (!s->columns)
        return (State *)PyErr_NoMemory();
    int r = kind == TM_STATE_VALUE ? value_ready(s) : kind == TM_STATE_LIST ? list_ready(s) : map_ready(s);
    return r < 0 ? NULL : s;
}

/* state_columns reads the columns of a state's section of the frame. */
void state_columns(State *s, Section section)
{
    section_columns(section, TM_STATE_SIZE, load32(section.head + 12), s->columns);
}

/* state_ask asks the host for a cell, or for an entry of a map, and returns whether it is there. The block is valid until
 * the next question. */
int state_ask(State *s, uint32_t key, const Builder *map_key, Section *block)
{
    Engine *e = s->handle.engine;
    const void *bytes = map_key ? map_key->buffer : NULL;
    uint32_t len = map_key ? map_key->used : 0;
    int32_t n = host_state_get(s->handle.id, key, bytes, len, e->asked, e->asked_capacity);
    if (n > (int32_t)e->asked_capacity) {
        if (grow(&e->asked, &e->asked_capacity, (uint32_t)n, 1) < 0)
            return -1;
        n = host_state_get(s->handle.id, key, bytes, len, e->asked, e->asked_capacity);
    }
    if (n < 0)
        return 0;
    engine_held(e, (uint32_t)n);
    *block = (Section){e->asked, e->asked};
    return 1;
}

/* loop_ended raises where a loop that began in a run of the engine is used after it. */
PyObject *loop_ended(const Engine *e, uint64_t run)
{
    if (e->run != run)
        PyErr_SetString(PyExc_RuntimeError, "a loop over state is used after its frame");
    return NULL;
}

int changes_add(Changes *c, uint32_t key, uint32_t row, uint8_t op)
{
    if (grow(&c->keys, &c->keys_capacity, c->n + 1, sizeof *c->keys) < 0 ||
        grow(&c->rows, &c->rows_capacity, c->n + 1, sizeof *c->rows) < 0 || grow(&c->ops, &c->ops_capacity, c->n + 1, 1) < 0)
        return -1;
    c->keys[c->n] = key;
    c->rows[c->n] = row;
    c->ops[c->n++] = op;
    return 0;
}

/* changes_open opens the section of the engine's changes and returns where its nodes begin. */
uint32_t changes_open(State *s, Builder *b, uint32_t kind)
{
    const Changes *c = &s->handle.engine->changes;
    uint32_t columns = s->value->n + (s->key ? s->key->n : 0), nodes = s->value->nodes + (s->key ? s->key->nodes : 0);
    uint32_t head = builder_open(b, TM_SECTION_STATE, (uint16_t)s->handle.id, TM_STATE_SIZE, nodes);
    builder_put32(b, head, c->n);
    builder_put32(b, head + 4, kind);
    builder_put32(b, head + 8, columns);
    builder_put32(b, head + 12, nodes);
    void *keys = builder_array(b, head + 16, c->n * 4);
    if (keys)
        memcpy(keys, c->keys, c->n * 4);
    void *ops = builder_array(b, head + 20, c->n);
    if (ops)
        memcpy(ops, c->ops, c->n);
    return head + TM_STATE_SIZE;
}
