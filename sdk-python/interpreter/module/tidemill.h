/* The engine of a Python guest: what the files of this folder share.
 *
 * An Engine is one opened operator. It turns a frame into calls of the user's methods, and what they did through the
 * handles that the engine gave to the operator (ports, states, timers, metrics) into an answer. The contract is
 * abi/SPEC.md; words and order of things are those of sdk-go/internal/engine.
 *
 * Everything runs in one thread. Handles hold the engine that they belong to, and the engine holds its handles: neither is
 * freed before its instance, so reference cycles do not matter, no type takes part in garbage collection, and what an
 * operator that cannot be opened leaves behind is not given back.
 *
 * Functions that can fail return -1 or NULL with a Python exception set. */
#ifndef TIDEMILL_H
#define TIDEMILL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "abi.h"
#include "internal/pycore_modsupport.h"

/* The key of an item that has none. */
#define TM_NO_KEY UINT32_MAX

typedef struct Engine Engine;

/* ---- frame.c: reading frames and building answers ---- */

/* Section is a section of a frame, or a rows block; head is NULL where it is absent. */
typedef struct {
    const uint8_t *base; /* offsets count from here */
    const uint8_t *head;
} Section;

/* Column is a view of a column's buffers. */
typedef struct {
    uint16_t type;
    uint32_t rows;
    const uint8_t *validity; /* a bit a row; NULL where no row is null */
    const int32_t *offsets;  /* of utf8, binary and lists */
    const uint8_t *values;
    const uint8_t *base, *element; /* of a list: where offsets count from, and the node of its elements */
} Column;

/* Frame is one input frame. It is trusted, because the host wrote it: offsets are not checked. */
typedef struct {
    uint32_t kind, port;
    uint64_t sequence, seed;
    int64_t watermark, processing_time;
    Section batch, keys, timers;
    Section states[TM_STATES_MAX];
} Frame;

int frame_read(Frame *f, const uint8_t *data, uint32_t len);
uint32_t frame_items(const Frame *f);
void section_columns(Section s, uint32_t head_size, uint32_t nodes, Column *to);
Column column_elements(const Column *c);

static inline uint16_t load16(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint32_t load32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint64_t load64(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }

/* section_array is an array that the section's head names at a byte offset; NULL where it or the section is absent. */
static inline const void *section_array(Section s, uint32_t field)
{
    uint32_t at = s.head ? load32(s.head + field) : 0;
    return at ? s.base + at : NULL;
}

static inline bool bit_at(const uint8_t *bits, uint32_t i) { return bits[i >> 3] >> (i & 7) & 1; }

/* Builder builds one answer, or one rows block, at a time in memory that it keeps. All positions are byte offsets, because
 * the memory may move when it grows. Out of memory is remembered, and told by builder_finish: nothing in between needs to
 * look. */
typedef struct {
    uint8_t *buffer;
    uint32_t used, capacity;
    uint32_t entries, sections_max, section;
    uint32_t *spans, spans_used, spans_capacity; /* where offsets of buffers stand that are in this memory */
    bool lent;                                   /* some buffers lie elsewhere */
    bool failed;
    const Frame *frame; /* that is answered */
} Builder;

void builder_start(Builder *b, const Frame *f, uint32_t sections_max);
uint32_t builder_open(Builder *b, uint16_t id, uint16_t index, uint32_t head, uint32_t nodes);
void builder_close(Builder *b);
int builder_finish(Builder *b);
void builder_start_block(Builder *b, uint32_t rows, uint32_t columns);
int builder_finish_block(Builder *b);
void *builder_array(Builder *b, uint32_t field, uint32_t bytes);
void *builder_buffer(Builder *b, uint32_t span, uint32_t bytes);
void builder_lend(Builder *b, uint32_t span, const void *data, uint32_t bytes);
void builder_put16(Builder *b, uint32_t at, uint16_t v);
void builder_put32(Builder *b, uint32_t at, uint32_t v);
void builder_put64(Builder *b, uint32_t at, uint64_t v);

/* ---- layout.c: rows of a Python type as columns ---- */

/* Decimal is the number of a decimal without its point, 128 bits in two's complement. */
typedef struct {
    uint64_t low;
    int64_t high;
} Decimal;

typedef struct Elements Elements;
typedef struct Layout Layout;

/* Datum is one value as a column holds it, checked against the column's type. */
typedef struct {
    union {
        int64_t i;       /* bool, whole numbers, dates in days, timestamps in us */
        double f;        /* f32, f64 */
        Decimal decimal; /* decimal128 */
        PyObject *text;  /* a str whose UTF-8 is at hand, or bytes; a strong reference */
        Elements *list;  /* a strong reference */
        PyObject *held;  /* text or list */
    };
    bool valid; /* not null */
} Datum;

/* Elements is what a list holds, one datum each. */
struct Elements {
    PyObject_VAR_HEAD
    const Layout *layout; /* of rows of the one column */
    Datum data[];
};

/* Form is which Python objects stand for the values of a column: the FORM numbers of tidemill._types. */
typedef enum {
    FORM_BOOL = 1, FORM_INT, FORM_FLOAT, FORM_STR, FORM_BYTES, FORM_DATETIME, FORM_DATE, FORM_DECIMAL, FORM_LIST,
} Form;

/* Field is one column of a layout. */
typedef struct {
    PyObject *name;      /* of the column */
    PyObject *attribute; /* of the row class, interned */
    PyObject *declared;  /* the Type of tidemill._types */
    uint16_t type;
    uint8_t digits, scale; /* of a decimal */
    Form form;
    bool nullable;
    Layout *element; /* of a list, its elements as rows of one column, else NULL */
    int32_t column;   /* index among the columns of its section; -1 for the event time of an input row */
    Py_ssize_t place; /* where instances of the layout's class hold it: see Storage */
} Field;

/* Storage is how instances of a row class hold their fields. */
typedef enum {
    STORE_SLOTS,     /* __slots__: place is the offset in the object */
    STORE_INLINE,    /* the values beside the object: place is the index among them */
    STORE_ATTRIBUTE, /* anything else: by name */
} Storage;

/* Layout is how rows of a Python type are columns: the class Rows of tidemill._declare. */
struct Layout {
    PyTypeObject *cls; /* NULL: a row is the value of its one column */
    Storage storage;
    uint32_t n;
    uint32_t nodes; /* of the columns: a list has two */
    Field *fields;
    bool holds;    /* some columns are held */
    bool reusable; /* instances hold their fields and nothing else */
};

int layout_init(void);
Layout *layout_of(PyObject *rows);
bool layout_plain(PyTypeObject *cls);

int datum_set(const Field *f, PyObject *value, Datum *d);
PyObject *datum_get(const Field *f, const Datum *d);
int column_datum(const Field *f, const Column *c, uint32_t i, Datum *d);
PyObject *column_value(const Field *f, const Column *c, uint32_t i);

int row_data(const Layout *l, PyObject *row, PyObject *what, Datum *data);
PyObject *data_row(const Layout *l, const Datum *data);
int column_data(const Layout *l, const Column *columns, uint32_t i, Datum *data);
PyObject *column_row(const Layout *l, const Column *columns, uint32_t i);
int column_reuse(const Layout *l, PyObject *row, const Column *columns, uint32_t i);
PyObject *values_row(const Layout *l, PyObject **values);
void data_clear(const Layout *l, Datum *data);
void data_copy(const Layout *l, Datum *to, const Datum *from);
void layout_columns(const Layout *l, const Column *from, Column *to);
uint32_t data_held_bytes(const Layout *l, const Datum *data);
int data_compare(const Layout *l, const Datum *a, const Datum *b);
int data_compare_row(const Layout *l, const Datum *data, const Column *columns, uint32_t i);

static inline bool is_text(uint16_t type) { return type == TM_UTF8 || type == TM_BINARY; }

/* is_held says whether a datum of the type is a reference. */
static inline bool is_held(uint16_t type) { return is_text(type) || type == TM_LIST; }

/* node_count is how many nodes a column has. */
static inline uint32_t node_count(const Field *f) { return f->element ? 2 : 1; }

uint32_t type_width(uint16_t type);
const char *type_name(uint16_t type);
const char *short_name(PyTypeObject *t);

/* text_bytes is where the bytes of a text datum are. */
static inline const char *text_bytes(const Datum *d, uint32_t *n)
{
    Py_ssize_t len;
    if (PyBytes_Check(d->text)) {
        *n = (uint32_t)PyBytes_GET_SIZE(d->text);
        return PyBytes_AS_STRING(d->text);
    }
    const char *s = PyUnicode_AsUTF8AndSize(d->text, &len); /* kept by the str since datum_set: cannot fail */
    *n = (uint32_t)len;
    return s;
}

/* Rows are n rows of data, stride bytes apart from the first; where picks is not NULL, row i is the picks[i]-th of them. */
typedef struct {
    const uint8_t *first;
    size_t stride;
    uint32_t n;
    const uint32_t *picks;
} Rows;

static inline const Datum *rows_at(const Rows *r, uint32_t i)
{
    return (const Datum *)(r->first + (size_t)(r->picks ? r->picks[i] : i) * r->stride);
}

void rows_write(const Layout *l, Builder *b, uint32_t nodes, const Rows *rows);

/* ---- decimal.c, elements.c ---- */

int decimal_init(void);
bool decimal_check(PyObject *value);
int decimal_set(PyObject *value, int digits, int scale, Decimal *to);
PyObject *decimal_get(Decimal d, int scale);

static inline int decimal_compare(Decimal a, Decimal b)
{
    return a.high != b.high ? (a.high > b.high) - (a.high < b.high) : (a.low > b.low) - (a.low < b.low);
}

extern PyTypeObject Elements_Type;

Elements *elements_set(const Layout *l, PyObject *list);
Elements *elements_at(const Layout *l, const Column *c, uint32_t i);
PyObject *elements_get(const Elements *e);
PyObject *elements_list(const Layout *l, const Column *c, uint32_t i);

/* ---- engine.c ---- */

/* Cell is the fault cell of the contract, which the host reads after a trap. */
typedef struct {
    uint32_t item;
    const char *message;
    uint32_t message_len;
    const char *place;
    uint32_t place_len;
} Cell;

_Static_assert(sizeof(Cell) == TM_FAULT_CELL_SIZE, "the fault cell has a fixed layout");

extern Cell fault_cell;

/* Callback is a method of the user's operator. */
typedef struct {
    PyObject *call; /* NULL where there is none */
    const char *place; /* "op.py:12", where it begins; kept for ever */
    uint32_t place_len;
} Callback;

int callback_set(Callback *c, PyObject *call, PyObject *place);

/* Handle is what the objects begin with that the engine gives to the operator. */
typedef struct {
    PyObject_HEAD
    Engine *engine;
    uint32_t id;
} Handle;

typedef struct Input Input;
typedef struct Output Output;
typedef struct State State;

/* StateKind is what a kind of state does at the ends of a frame. */
typedef struct {
    /* load begins a frame of so many keys; the section is absent where the host sent none. */
    int (*load)(State *, uint32_t keys, Section);
    /* flush adds the changes since load, or since the last flush, to the answer. */
    int (*flush)(State *, Builder *);
} StateKind;

/* State is what the states of all kinds begin with. */
struct State {
    Handle handle;
    const StateKind *kind;
    PyObject *what, *what_key; /* "state s", "the key of state s", for errors */
    Layout *key;               /* of a map */
    Layout *value;
    uint32_t bytes;  /* an upper bound of what a change takes in an answer, without the contents of texts and lists */
    Column *columns; /* of the frame's section: the map key's first */
};

/* Changes is the STATE section of an answer while it is built: for each change its key, operation and row of data. */
typedef struct {
    uint32_t *keys, *rows;
    uint8_t *ops;
    uint32_t n, keys_capacity, rows_capacity, ops_capacity;
} Changes;

/* TimerChange is one entry of a TIMERS section of an answer. */
typedef struct {
    int64_t time;
    uint32_t key, tag_end;
    uint16_t name;
    uint8_t domain, op;
} TimerChange;

typedef struct {
    TimerChange *entries;
    uint32_t n, capacity;
    uint8_t *tags;
    uint32_t tags_n, tags_capacity;
} TimerLog;

/* Metric is what a frame reports of one metric. */
typedef struct {
    uint64_t value; /* counters: to add; gauges: the bits of the float */
    bool changed;
} Metric;

/* KeyReader is an attribute that reads the key. */
typedef struct {
    Handle handle;
    Layout *layout;
    Column *columns; /* of the frame, by field */
    PyObject *row;   /* of the key row_of, where it is not NULL */
    uint32_t row_of;
} KeyReader;

#define KEY_READERS_MAX 16

struct Engine {
    PyObject_HEAD
    PyObject *operator;
    PyObject *fired;    /* the class Fired */
    PyObject *explain;  /* of tidemill._errors */
    PyObject *drivers;  /* of tidemill._guest */
    PyObject *column;   /* the class Column */
    PyObject *buffers;  /* of tidemill._column */
    Frame frame;
    uint32_t items;     /* of the frame that are processed: all, or fewer where the answer to all was too large */
    uint32_t key;       /* of the item under way; TM_NO_KEY where it has none */
    int64_t bytes;      /* an upper bound of the answer so far */
    int64_t bytes_stop; /* the frame ends with the item that gets bytes here */
    uint32_t bytes_max; /* frame_bytes of the open request */
    uint32_t scans;     /* that are open */
    bool running;       /* a callback is under way */
    bool applied;       /* changes went to the host before the answer */
    bool shared;        /* what ran out may have been used up by earlier items of the frame */
    uint64_t run;       /* counts how often items of frames were processed */

    uint32_t inputs_n, outputs_n, states_n, timers_n, metrics_n, keys_n;
    Input *inputs[TM_INPUT_PORTS_MAX];
    Output *outputs[TM_OUTPUT_PORTS_MAX];
    State *states[TM_STATES_MAX];
    Callback timers[TM_TIMER_NAMES_MAX];
    Metric metrics[TM_METRICS_MAX];
    KeyReader *keys[KEY_READERS_MAX];
    uint32_t metrics_changed;
    TimerLog timer_log;
    Callback on_watermark, on_end;

    Changes changes;   /* of the state that is flushed */
    Column *columns;   /* of the section that is read */
    Builder answer;
    int64_t *times;    /* event times of a stream that has none */
    uint32_t times_capacity;
    Builder block;     /* for keys and bounds that the host is asked with */
    uint8_t *asked;    /* what the host answers */
    uint32_t asked_capacity;
};

extern PyTypeObject Engine_Type;

/* engine_key is the key of the item under way, or TM_NO_KEY with an exception that begins with what. */
static inline uint32_t engine_key(Engine *e, const char *what)
{
    if (e->key == TM_NO_KEY)
        PyErr_Format(PyExc_RuntimeError, "%s where no item with a key is under way", what);
    return e->key;
}

/* engine_held tells that the item under way made the engine keep n more bytes until the end of the frame, which therefore
 * ends earlier. */
static inline void engine_held(Engine *e, uint32_t n) { e->bytes_stop -= n; }

int engine_apply(Engine *e, State *s);
int engine_result(PyObject *callback, PyObject *result);
void engine_reserve(void);
uint8_t *engine_process(Engine *e, const uint8_t *data, uint32_t len, uint32_t *answer_len);

/* grow makes room for n elements of the given size in the array whose address is given. */
int grow(void *array, uint32_t *capacity, uint32_t n, size_t size);

/* ---- ports.c, batch.c ---- */

/* How is how a handler is called and what comes of its result: the numbers of tidemill._declare. */
typedef enum { HOW_ROWS, HOW_MAP, HOW_FILTER, HOW_FLAT_MAP, HOW_BATCH } How;

struct Input {
    Handle handle;
    Callback callback;
    Layout *layout;
    How how;
    Column *fields; /* by field, while a frame runs */
    const uint32_t *keys; /* by item, or NULL */
    uint32_t next, limit; /* items of the frame that were begun, and that are to be */
    PyObject *row;        /* of the item under way, where rows can be used again */
};

/* Passed is a column of an output port that the host fills in. */
typedef struct {
    uint32_t column, ref;
    uint16_t flag, type;
} Passed;

/* Values is the values of one field of the rows that were emitted. */
typedef struct Values {
    uint8_t *values; /* numbers, or the bytes of texts */
    uint32_t values_capacity;
    int32_t *offsets; /* of texts and lists */
    uint32_t offsets_capacity;
    uint8_t *validity; /* of nullable fields */
    uint32_t validity_capacity;
    uint32_t nulls;
    struct Values *element; /* of a list, its elements */
} Values;

struct Output {
    Handle handle;
    PyObject *what; /* "port p", for errors */
    Layout *layout;
    uint32_t columns_n, nodes_n, passed_n;
    uint32_t *nodes; /* by column, the index of its node */
    Passed *passed;
    int32_t input;         /* the input port whose columns are passed through, -1 for none */
    PyObject *input_error; /* what is wrong with rows that are emitted elsewhere */
    uint32_t row_bytes;    /* an upper bound of what a row takes in an answer, without the contents of texts and lists */
    uint32_t n, items_capacity;
    uint32_t *items;
    Values *values; /* by field */
    Datum *data; /* of the row that is emitted */
    struct Emitted *emitted; /* of a BatchOut, see batch.c */
    uint32_t emitted_n, emitted_capacity;
};

extern PyTypeObject Input_Type, Output_Type, BatchOutput_Type, Batch_Type;

Input *input_new(Engine *e, uint32_t id, PyObject *table, PyObject *place);
int input_run(Input *in, uint32_t limit, uint32_t *done);
Output *output_new(Engine *e, uint32_t id, PyObject *table);
int output_check(Output *out);
void output_reset(Output *out);
uint32_t output_sections(const Output *out);
void output_flush(Output *out, Builder *b, uint32_t done);
uint32_t output_open(Output *out, Builder *b, uint32_t rows);

int batch_run(Input *in, uint32_t limit, uint32_t *done);
void batch_flush(Output *out, Builder *b);
void batch_reset(Output *out);

/* output_node is where the node of a field is in the section whose head is given. */
static inline uint32_t output_node(const Output *out, uint32_t head, const Field *f)
{
    return head + TM_BATCH_SIZE + out->nodes[f->column] * TM_NODE_SIZE;
}

/* ---- make.c ---- */

PyObject *make_quick(PyObject *module, PyObject *args);

/* ---- state.c, value.c, list.c, map.c ---- */

extern PyTypeObject Value_Type, List_Type, ListLoop_Type, Map_Type, MapLoop_Type;

/* Values of a state's cells. */
enum { CELL_ABSENT = TM_STATUS_ABSENT, CELL_INLINE = TM_STATUS_INLINE, CELL_ASK = TM_STATUS_ASK };

State *state_new(Engine *e, uint32_t id, PyObject *table);
void state_columns(State *s, Section section);
int state_ask(State *s, uint32_t key, const Builder *map_key, Section *block);
PyObject *loop_ended(const Engine *e, uint64_t run);
int changes_add(Changes *c, uint32_t key, uint32_t row, uint8_t op);
uint32_t changes_open(State *s, Builder *b, uint32_t kind);

State *value_new(Engine *e, uint32_t id);
State *list_new(Engine *e, uint32_t id);
State *map_new(Engine *e, uint32_t id);
int value_ready(State *s);
int list_ready(State *s);
int map_ready(State *s);

static inline uint32_t state_key(const State *s) { return engine_key(s->handle.engine, "a state is used"); }

/* ---- timers.c: timers, metrics, the key ---- */

extern PyTypeObject Timer_Type, Counter_Type, Gauge_Type, KeyReader_Type;

Handle *handle_new(PyTypeObject *type, Engine *e, uint32_t id);
PyObject *timer_new(Engine *e, uint32_t id, int domain);
int timers_run(Engine *e, uint32_t limit, uint32_t *done);
void timers_flush(TimerLog *log, Builder *b);
void metrics_reset(Engine *e);
void metrics_flush(Engine *e, Builder *b);
KeyReader *key_new(Engine *e, PyObject *rows);
void key_load(KeyReader *k, Section keys);

/* ---- host.c: the imports, and the watch over the interpreter's loop ---- */

int32_t host_state_get(uint32_t state, uint32_t key, const void *map_key, uint32_t len, void *out, uint32_t capacity);
int32_t host_scan_open(uint32_t state, uint32_t key, const void *bounds, uint32_t len, uint32_t flags);
int32_t host_scan_next(int32_t handle, void *out, uint32_t capacity);
void host_apply(const void *frame, uint32_t len);
void host_log(int32_t level, const void *line, uint32_t len);
int64_t host_fuel_left(void);

/* FuelExhausted is the exception of tidemill._guest. */
extern PyObject *FuelExhausted;

/* watch_begin begins the watch over one call into the instance, watch_end ends it: what runs after that may use the rest of
 * the fuel. */
void watch_begin(Engine *e, uint32_t items);
void watch_end(void);

/* item_begin makes an item the one under way. */
static inline void item_begin(const Callback *c, uint32_t item)
{
    fault_cell.item = item;
    fault_cell.place = c->place;
    fault_cell.place_len = c->place_len;
}

#endif
