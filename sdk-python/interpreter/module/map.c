/* Map: a state of entries by their own key under each key of the input. Entries that came with the frame are found where
 * they lie, by binary search; those that the frame asked for or changed are kept, and found by hash. */
#include "tidemill.h"

/* The host ends a call that has more scans open. */
#define SCANS_MAX 64

typedef struct {
    uint8_t status; /* absent, inline, ask */
    bool cleared;   /* what was there is gone */
    bool clearing;  /* and the host does not know yet */
    bool touched;   /* is among Map.touched */
    uint32_t from, to; /* rows of the frame's columns */
    uint32_t first;    /* entry, 0 = none */
} MapCell;

/* Entry is an entry that the frame read or changed: its key's data, then its value's. */
typedef struct {
    uint32_t cell, hash, next; /* next entry of the same cell */
    bool present;
    bool changed; /* and the host does not know yet */
    Datum data[];
} Entry;

typedef struct {
    State state;
    MapCell *cells; /* by key */
    uint32_t cells_n, cells_capacity;
    uint8_t *entries; /* from 1 on; 0 stands for no entry */
    uint32_t entries_n, entries_capacity, stride;
    uint32_t *slots; /* hash table of entries, 0 = free; a power of two */
    uint32_t slots_n;
    uint32_t *touched; /* keys in the order of their first entry */
    uint32_t touched_n, touched_capacity;
    uint8_t *spare; /* buffer of a loop that has ended */
} Map;

static Entry *entry_at(const Map *m, uint32_t i) { return (Entry *)(m->entries + (size_t)i * m->stride); }

static Datum *entry_value(const Map *m, Entry *e) { return e->data + m->state.key->n; }

/* ---- the hash table ---- */

/* hash_of differs from frame to frame, so that nobody can choose keys that collide. */
static uint32_t hash_of(const Map *m, uint32_t cell, const Datum *key)
{
    uint64_t h = m->state.handle.engine->frame.seed + cell;
    for (uint32_t i = 0; i < m->state.key->n; i++) {
        uint16_t type = m->state.key->fields[i].type;
        uint64_t part = is_text(type) && key[i].valid ? (uint64_t)PyObject_Hash(key[i].text) : (uint64_t)key[i].i;
        if (type == TM_DECIMAL128)
            part ^= (uint64_t)key[i].decimal.high * UINT64_C(0xc2b2ae3d27d4eb4f);
        h = (h ^ part) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    return (uint32_t)h;
}

static uint32_t find(const Map *m, uint32_t cell, uint32_t hash, const Datum *key)
{
    if (m->slots_n == 0)
        return 0;
    for (uint32_t at = hash & (m->slots_n - 1);; at = (at + 1) & (m->slots_n - 1)) {
        uint32_t i = m->slots[at];
        if (i == 0)
            return 0;
        const Entry *e = entry_at(m, i);
        if (e->hash == hash && e->cell == cell && data_compare(m->state.key, e->data, key) == 0)
            return i;
    }
}

static void put_slot(Map *m, uint32_t i)
{
    uint32_t at = entry_at(m, i)->hash & (m->slots_n - 1);
    while (m->slots[at])
        at = (at + 1) & (m->slots_n - 1);
    m->slots[at] = i;
}

/* reserve_slot keeps the table half empty. */
static int reserve_slot(Map *m)
{
    if (2 * m->entries_n < m->slots_n)
        return 0;
    uint32_t n = m->slots_n ? 2 * m->slots_n : 64;
    uint32_t *slots = PyMem_Calloc(n, sizeof *slots);
    if (!slots) {
        PyErr_NoMemory();
        return -1;
    }
    PyMem_Free(m->slots);
    m->slots = slots;
    m->slots_n = n;
    for (uint32_t i = 1; i < m->entries_n; i++)
        put_slot(m, i);
    return 0;
}

/* ---- a frame's begin and end ---- */

static void forget(Map *m)
{
    for (uint32_t i = 1; i < m->entries_n; i++) {
        data_clear(m->state.key, entry_at(m, i)->data);
        data_clear(m->state.value, entry_value(m, entry_at(m, i)));
    }
    if (m->entries_n > 1)
        memset(m->slots, 0, m->slots_n * sizeof *m->slots);
    m->entries_n = 1;
    m->touched_n = m->cells_n = 0;
}

static int map_load(State *s, uint32_t keys, Section section)
{
    Map *m = (Map *)s;
    forget(m);
    if (grow(&m->cells, &m->cells_capacity, keys, sizeof *m->cells) < 0)
        return -1;
    memset(m->cells, 0, keys * sizeof *m->cells);
    m->cells_n = keys;
    const uint8_t *status = section_array(section, 16);
    const uint32_t *start = section_array(section, 20);
    for (uint32_t i = 0; i < keys; i++) {
        m->cells[i].status = status ? status[i] : CELL_ASK;
        if (status) {
            m->cells[i].from = start[i];
            m->cells[i].to = start[i + 1];
        }
    }
    if (status)
        state_columns(s, section);
    return 0;
}

static int add_changes(Map *m, Changes *changes, uint32_t key)
{
    MapCell *c = &m->cells[key];
    if (c->clearing && changes_add(changes, key, 0, TM_OP_CLEAR_ALL) < 0)
        return -1;
    c->clearing = false;
    for (uint32_t i = c->first; i > 0; i = entry_at(m, i)->next) {
        Entry *e = entry_at(m, i);
        if (e->changed && changes_add(changes, key, i, e->present ? TM_OP_SET : TM_OP_CLEAR) < 0)
            return -1;
        e->changed = false;
    }
    return 0;
}

static int map_flush(State *s, Builder *b)
{
    Map *m = (Map *)s;
    Changes *changes = &s->handle.engine->changes;
    changes->n = 0;
    for (uint32_t t = 0; t < m->touched_n; t++)
        if (add_changes(m, changes, m->touched[t]) < 0)
            return -1;
    if (changes->n == 0)
        return 0;
    memset(entry_at(m, 0), 0, m->stride); /* row 0 stands for no entry */
    uint32_t nodes = changes_open(s, b, TM_STATE_MAP);
    Rows rows = {(uint8_t *)entry_at(m, 0)->data, m->stride, changes->n, changes->rows};
    rows_write(s->key, b, nodes, &rows);
    rows.first = (uint8_t *)entry_value(m, entry_at(m, 0));
    rows_write(s->value, b, nodes + s->key->nodes * TM_NODE_SIZE, &rows);
    builder_close(b);
    return 0;
}

static const StateKind map_kind = {map_load, map_flush};

/* ---- entries ---- */

static int touch(Map *m, uint32_t cell)
{
    if (m->cells[cell].touched)
        return 0;
    if (grow(&m->touched, &m->touched_capacity, m->touched_n + 1, sizeof *m->touched) < 0)
        return -1;
    m->touched[m->touched_n++] = cell;
    m->cells[cell].touched = true;
    return 0;
}

/* add is a new entry, absent and unchanged, of a key whose data it takes over; 0 without memory. */
static uint32_t add(Map *m, uint32_t cell, uint32_t hash, Datum *key)
{
    uint32_t i = m->entries_n;
    if (touch(m, cell) < 0 || reserve_slot(m) < 0 || grow(&m->entries, &m->entries_capacity, i + 1, m->stride) < 0) {
        data_clear(m->state.key, key);
        return 0;
    }
    Entry *e = entry_at(m, i);
    memset(e, 0, m->stride);
    e->cell = cell;
    e->hash = hash;
    e->next = m->cells[cell].first;
    m->cells[cell].first = i;
    memcpy(e->data, key, m->state.key->n * sizeof *key);
    m->entries_n++;
    put_slot(m, i);
    engine_held(m->state.handle.engine, m->stride);
    return i;
}

/* lower is the first of a cell's rows of the frame whose key is not before the given one. */
static uint32_t lower(const Map *m, const MapCell *c, const Datum *key)
{
    uint32_t low = c->from, high = c->to;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (data_compare_row(m->state.key, key, m->state.columns, middle) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Found is where a map's entry is: kept as entry, in the frame as row, or nowhere. */
typedef struct {
    enum { NOWHERE, AS_ENTRY, AS_ROW, FAILED } where;
    uint32_t i;
} Found;

static int key_block(Map *m, const Datum *keys, uint32_t n)
{
    Builder *b = &m->state.handle.engine->block;
    builder_start_block(b, n, m->state.key->n);
    Rows rows = {(const uint8_t *)keys, m->state.key->n * sizeof(Datum), n, NULL};
    rows_write(m->state.key, b, TM_BLOCK_SIZE, &rows);
    return builder_finish_block(b);
}

/* ask asks the host for an entry, which is kept whether it is there or not. It takes over the key's data. */
static Found ask(Map *m, uint32_t cell, uint32_t hash, Datum *key)
{
    Section block;
    int found = key_block(m, key, 1) < 0 ? -1 : state_ask(&m->state, cell, &m->state.handle.engine->block, &block);
    if (found < 0) {
        data_clear(m->state.key, key);
        return (Found){FAILED, 0};
    }
    uint32_t i = add(m, cell, hash, key);
    if (i == 0)
        return (Found){FAILED, 0};
    if (!found)
        return (Found){NOWHERE, 0};
    Column *columns = m->state.handle.engine->columns;
    section_columns(block, TM_BLOCK_SIZE, load32(block.head + 8), columns);
    if (column_data(m->state.value, columns, 0, entry_value(m, entry_at(m, i))) < 0)
        return (Found){FAILED, 0};
    entry_at(m, i)->present = true;
    return (Found){AS_ENTRY, i};
}

/* look finds an entry of the current key's map. */
static Found look(Map *m, PyObject *object)
{
    uint32_t cell = state_key(&m->state);
    const Layout *l = m->state.key;
    Datum key[l->n];
    if (cell == TM_NO_KEY || row_data(l, object, m->state.what_key, key) < 0)
        return (Found){FAILED, 0};
    const MapCell *c = &m->cells[cell];
    uint32_t hash = hash_of(m, cell, key), i = find(m, cell, hash, key);
    Found found = {NOWHERE, 0};
    if (i > 0) {
        if (entry_at(m, i)->present)
            found = (Found){AS_ENTRY, i};
    } else if (c->status == CELL_ASK && !c->cleared) {
        return ask(m, cell, hash, key);
    } else if (!c->cleared) {
        uint32_t row = lower(m, c, key);
        if (row < c->to && data_compare_row(l, key, m->state.columns, row) == 0)
            found = (Found){AS_ROW, row};
    }
    data_clear(l, key);
    return found;
}

/* put is the entry of a key, whose data it takes over, for a change of it; NULL without memory. */
static Entry *put(Map *m, uint32_t cell, Datum *key)
{
    const Layout *l = m->state.key;
    uint32_t hash = hash_of(m, cell, key), i = find(m, cell, hash, key);
    if (i > 0) {
        data_clear(l, key);
    } else {
        uint32_t text_size = data_held_bytes(l, key);
        if ((i = add(m, cell, hash, key)) == 0)
            return NULL;
        m->state.handle.engine->bytes += text_size;
    }
    Entry *e = entry_at(m, i);
    if (!e->changed)
        m->state.handle.engine->bytes += m->state.bytes;
    if (e->present)
        data_clear(m->state.value, entry_value(m, e));
    e->present = false;
    e->changed = true;
    return e;
}

static PyObject *map_get(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Map *m = (Map *)self;
    if (!_PyArg_CheckPositional("get", n, 1, 2))
        return NULL;
    Found found = look(m, args[0]);
    switch (found.where) {
    case AS_ENTRY:
        return data_row(m->state.value, entry_value(m, entry_at(m, found.i)));
    case AS_ROW:
        return column_row(m->state.value, m->state.columns + m->state.key->n, found.i);
    case NOWHERE:
        return Py_NewRef(n > 1 ? args[1] : Py_None);
    default:
        return NULL;
    }
}

static PyObject *map_has(PyObject *self, PyObject *key)
{
    Found found = look((Map *)self, key);
    return found.where == FAILED ? NULL : PyBool_FromLong(found.where != NOWHERE);
}

static PyObject *map_set(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Map *m = (Map *)self;
    const Layout *l = m->state.value;
    Datum key[m->state.key->n], value[l->n];
    if (!_PyArg_CheckPositional("set", n, 2, 2))
        return NULL;
    uint32_t cell = state_key(&m->state);
    if (cell == TM_NO_KEY || row_data(m->state.key, args[0], m->state.what_key, key) < 0)
        return NULL;
    if (row_data(l, args[1], m->state.what, value) < 0) {
        data_clear(m->state.key, key);
        return NULL;
    }
    Entry *e = put(m, cell, key);
    if (!e) {
        data_clear(l, value);
        return NULL;
    }
    memcpy(entry_value(m, e), value, sizeof value);
    e->present = true;
    m->state.handle.engine->bytes += data_held_bytes(l, value);
    Py_RETURN_NONE;
}

static PyObject *map_delete(PyObject *self, PyObject *object)
{
    Map *m = (Map *)self;
    Datum key[m->state.key->n];
    uint32_t cell = state_key(&m->state);
    if (cell == TM_NO_KEY || row_data(m->state.key, object, m->state.what_key, key) < 0 || !put(m, cell, key))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *map_clear(PyObject *self, PyObject *Py_UNUSED(none))
{
    Map *m = (Map *)self;
    uint32_t cell = state_key(&m->state);
    if (cell == TM_NO_KEY || touch(m, cell) < 0)
        return NULL;
    MapCell *c = &m->cells[cell];
    c->cleared = c->clearing = true;
    m->state.handle.engine->bytes += m->state.bytes;
    for (uint32_t i = c->first; i > 0; i = entry_at(m, i)->next) {
        Entry *e = entry_at(m, i);
        if (e->present)
            data_clear(m->state.value, entry_value(m, e));
        e->present = e->changed = false;
    }
    Py_RETURN_NONE;
}

/* ---- loops ---- */

/* MapLoop is a loop over a map. One over a map that is here has all its pairs; one over a map that the host has gets them
 * in blocks. */
typedef struct {
    PyObject_HEAD
    Map *map;
    uint64_t run;
    PyObject *pairs; /* list, or NULL */
    uint32_t next;   /* pair, or row of the block */
    int32_t handle;  /* of the host's scan, where open */
    bool open;
    uint8_t *buffer;
    uint32_t capacity, rows;
    Column *columns;
} MapLoop;

/* Bounds of a loop: flags of the contract, and the low and the high key where the flags name both. */
typedef struct {
    uint32_t flags;
    Datum *keys;
} Bounds;

static bool within(const Map *m, const Bounds *b, const Datum *key)
{
    const Layout *l = m->state.key;
    return !(b->flags & TM_SCAN_LOW) || (data_compare(l, key, b->keys) >= 0 && data_compare(l, key, b->keys + l->n) < 0);
}

static int append_pair(PyObject *pairs, PyObject *key, PyObject *value)
{
    PyObject *pair = key && value ? PyTuple_Pack(2, key, value) : NULL;
    Py_XDECREF(key);
    Py_XDECREF(value);
    int r = pair ? PyList_Append(pairs, pair) : -1;
    Py_XDECREF(pair);
    return r;
}

static int append_entry(const Map *m, PyObject *pairs, uint32_t i)
{
    Entry *e = entry_at(m, i);
    if (!e->present)
        return 0;
    return append_pair(pairs, data_row(m->state.key, e->data), data_row(m->state.value, entry_value(m, e)));
}

static int append_row(const Map *m, PyObject *pairs, uint32_t i)
{
    return append_pair(pairs, column_row(m->state.key, m->state.columns, i),
                       column_row(m->state.value, m->state.columns + m->state.key->n, i));
}

static void sort_entries(const Map *m, uint32_t *entries, uint32_t n, uint32_t *other)
{
    if (n < 2)
        return;
    uint32_t half = n / 2, a = 0, b = half, to = 0;
    sort_entries(m, entries, half, other);
    sort_entries(m, entries + half, n - half, other);
    while (a < half || b < n) {
        bool left = b == n || (a < half && data_compare(m->state.key, entry_at(m, entries[a])->data, entry_at(m, entries[b])->data) < 0);
        other[to++] = entries[left ? a++ : b++];
    }
    memcpy(entries, other, n * sizeof *entries);
}

/* merge appends the cell's rows of the frame, but for those of keys that have an entry, and the sorted entries, in order of
 * keys. */
static int merge(const Map *m, const MapCell *c, const Bounds *b, const uint32_t *entries, uint32_t n, PyObject *pairs)
{
    const Layout *l = m->state.key;
    bool bounded = b->flags & TM_SCAN_LOW;
    uint32_t row = c->cleared ? c->to : bounded ? lower(m, c, b->keys) : c->from;
    uint32_t end = bounded && !c->cleared ? lower(m, c, b->keys + l->n) : c->to;
    for (uint32_t i = 0; i < n; i++) {
        const Datum *key = entry_at(m, entries[i])->data;
        int order = -1;
        while (row < end && (order = data_compare_row(l, key, m->state.columns, row)) > 0)
            if (append_row(m, pairs, row++) < 0)
                return -1;
        if (row < end && order == 0)
            row++;
        if (append_entry(m, pairs, entries[i]) < 0)
            return -1;
    }
    while (row < end)
        if (append_row(m, pairs, row++) < 0)
            return -1;
    return 0;
}

/* pairs_here is all pairs of a map that is here. */
static PyObject *pairs_here(const Map *m, const MapCell *c, const Bounds *b)
{
    uint32_t n = 0;
    for (uint32_t i = c->first; i > 0; i = entry_at(m, i)->next)
        n++;
    uint32_t *entries = PyMem_Malloc((2 * n + 1) * sizeof *entries);
    PyObject *pairs = PyList_New(0);
    if (!entries || !pairs) {
        PyMem_Free(entries);
        Py_XDECREF(pairs);
        return PyErr_NoMemory();
    }
    n = 0;
    for (uint32_t i = c->first; i > 0; i = entry_at(m, i)->next)
        if (within(m, b, entry_at(m, i)->data))
            entries[n++] = i;
    sort_entries(m, entries, n, entries + n);
    if (merge(m, c, b, entries, n, pairs) < 0 || (b->flags & TM_SCAN_DESCENDING && PyList_Reverse(pairs) < 0))
        Py_CLEAR(pairs);
    PyMem_Free(entries);
    return pairs;
}

#define LOOP_BYTES (64u << 10)

/* scan begins a scan by the host, which gets to know the frame's changes first. */
static int scan(MapLoop *loop, uint32_t cell, const Bounds *b)
{
    Map *m = loop->map;
    Engine *e = m->state.handle.engine;
    if (e->scans >= SCANS_MAX) {
        PyErr_Format(PyExc_RuntimeError, "more than %d loops over maps are under way", SCANS_MAX);
        return -1;
    }
    loop->columns = PyMem_Calloc(m->state.key->n + m->state.value->n, sizeof *loop->columns);
    loop->buffer = m->spare;
    loop->capacity = LOOP_BYTES;
    m->spare = NULL;
    if (!loop->buffer)
        loop->buffer = PyMem_RawMalloc(LOOP_BYTES);
    if (!loop->columns || !loop->buffer) {
        PyErr_NoMemory();
        return -1;
    }
    if (engine_apply(e, &m->state) < 0 || (b->flags & TM_SCAN_LOW && key_block(m, b->keys, 2) < 0))
        return -1;
    loop->handle = host_scan_open(m->state.handle.id, cell, e->block.buffer, b->flags & TM_SCAN_LOW ? e->block.used : 0, b->flags);
    loop->open = true;
    e->scans++;
    return 0;
}

static PyObject *loop_new(Map *m, const Bounds *b)
{
    uint32_t cell = state_key(&m->state);
    MapLoop *loop = cell == TM_NO_KEY ? NULL : PyObject_New(MapLoop, &MapLoop_Type);
    if (!loop)
        return NULL;
    memset((char *)loop + sizeof(PyObject), 0, sizeof *loop - sizeof(PyObject));
    loop->map = (Map *)Py_NewRef(m);
    loop->run = m->state.handle.engine->run;
    const MapCell *c = &m->cells[cell];
    bool ok;
    if (c->status == CELL_ASK && !c->cleared)
        ok = scan(loop, cell, b) == 0;
    else
        ok = (loop->pairs = pairs_here(m, c, b)) != NULL;
    if (!ok)
        Py_CLEAR(loop);
    return (PyObject *)loop;
}

/* next_block gets the scan's next entries: none at its end. */
static int next_block(MapLoop *loop)
{
    int32_t n;
    while ((n = host_scan_next(loop->handle, loop->buffer, loop->capacity)) < 0) {
        uint8_t *larger = PyMem_RawRealloc(loop->buffer, (size_t)-n);
        if (!larger) {
            PyErr_NoMemory();
            return -1;
        }
        loop->buffer = larger;
        loop->capacity = (uint32_t)-n;
    }
    Section block = {loop->buffer, loop->buffer};
    loop->next = 0;
    loop->rows = load32(block.head);
    section_columns(block, TM_BLOCK_SIZE, load32(block.head + 8), loop->columns);
    return 0;
}

static PyObject *loop_next(PyObject *self)
{
    MapLoop *loop = (MapLoop *)self;
    const Map *m = loop->map;
    if (m->state.handle.engine->run != loop->run)
        return loop_ended(m->state.handle.engine, loop->run);
    if (loop->pairs)
        return loop->next < PyList_GET_SIZE(loop->pairs) ? Py_NewRef(PyList_GET_ITEM(loop->pairs, loop->next++)) : NULL;
    if (!loop->open || (loop->next == loop->rows && next_block(loop) < 0))
        return NULL;
    if (loop->rows == 0) {
        loop->open = false;
        m->state.handle.engine->scans--;
        return NULL;
    }
    uint32_t i = loop->next++;
    PyObject *key = column_row(m->state.key, loop->columns, i);
    PyObject *value = key ? column_row(m->state.value, loop->columns + m->state.key->n, i) : NULL;
    PyObject *pair = value ? PyTuple_Pack(2, key, value) : NULL;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return pair;
}

static void loop_dealloc(PyObject *self)
{
    MapLoop *loop = (MapLoop *)self;
    Engine *e = loop->map->state.handle.engine;
    if (loop->open && e->running && e->run == loop->run) { /* left early */
        host_scan_next(loop->handle, NULL, 0);
        e->scans--;
    }
    if (loop->buffer && loop->capacity == LOOP_BYTES && !loop->map->spare)
        loop->map->spare = loop->buffer;
    else
        PyMem_RawFree(loop->buffer);
    PyMem_Free(loop->columns);
    Py_XDECREF(loop->pairs);
    Py_DECREF(loop->map);
    PyObject_Free(self);
}

PyTypeObject MapLoop_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.MapLoop",
    .tp_basicsize = sizeof(MapLoop),
    .tp_dealloc = loop_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = loop_next,
};

static PyObject *map_items(PyObject *self, PyObject *Py_UNUSED(none)) { return loop_new((Map *)self, &(Bounds){0, NULL}); }

static PyObject *map_backward(PyObject *self, PyObject *Py_UNUSED(none))
{
    return loop_new((Map *)self, &(Bounds){TM_SCAN_DESCENDING, NULL});
}

static PyObject *map_range(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Map *m = (Map *)self;
    const Layout *l = m->state.key;
    Datum keys[2 * l->n];
    if (!_PyArg_CheckPositional("range", n, 2, 2) || state_key(&m->state) == TM_NO_KEY ||
        row_data(l, args[0], m->state.what_key, keys) < 0)
        return NULL;
    PyObject *loop = NULL;
    if (row_data(l, args[1], m->state.what_key, keys + l->n) == 0) {
        if (data_compare(l, keys, keys + l->n) > 0) /* an empty range, which the host need not know how to cut */
            data_clear(l, keys + l->n), data_copy(l, keys + l->n, keys);
        loop = loop_new(m, &(Bounds){TM_SCAN_LOW | TM_SCAN_HIGH, keys});
        data_clear(l, keys + l->n);
    }
    data_clear(l, keys);
    return loop;
}

State *map_new(Engine *e, uint32_t id)
{
    State *s = (State *)handle_new(&Map_Type, e, id);
    if (s)
        s->kind = &map_kind;
    return s;
}

int map_ready(State *s)
{
    Map *m = (Map *)s;
    m->stride = sizeof(Entry) + (s->key->n + s->value->n) * sizeof(Datum);
    m->entries_n = 1;
    return grow(&m->entries, &m->entries_capacity, 1, m->stride);
}

static PyMethodDef map_methods[] = {
    {"get", (PyCFunction)(void (*)(void))map_get, METH_FASTCALL, "The value of an entry, or the default where there is none."},
    {"has", map_has, METH_O, "Whether there is an entry."},
    {"set", (PyCFunction)(void (*)(void))map_set, METH_FASTCALL, "Sets an entry."},
    {"delete", map_delete, METH_O, "Removes an entry."},
    {"clear", map_clear, METH_NOARGS, "Removes all entries."},
    {"items", map_items, METH_NOARGS, "All entries, in ascending order of their keys."},
    {"backward", map_backward, METH_NOARGS, "All entries, in descending order of their keys."},
    {"range", (PyCFunction)(void (*)(void))map_range, METH_FASTCALL, "The entries with keys from low on and before high."},
    {0},
};

PyTypeObject Map_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Map",
    .tp_basicsize = sizeof(Map),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = map_methods,
};
