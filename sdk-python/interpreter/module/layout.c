/* Layouts: how the rows of a Python type are columns, and the way of a value between a column and Python.
 *
 * A layout finds out once where the instances of its class keep their fields. After that a row of a class with __slots__ is
 * read and written by offset, one of an ordinary class through the values that the interpreter keeps beside the object, and
 * only rows of other classes by attribute look-up. Rows are made without calling __init__. */
#include "tidemill.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_object.h"
#include <datetime.h>
#include <structmember.h>

uint32_t type_width(uint16_t type)
{
    switch (type) {
    case TM_BOOL:
    case TM_I8:
        return 1;
    case TM_I16:
        return 2;
    case TM_I32:
    case TM_F32:
    case TM_DATE32:
    case TM_UTF8:
    case TM_BINARY:
    case TM_LIST:
        return 4;
    case TM_DECIMAL128:
        return 16;
    default:
        return 8;
    }
}

const char *type_name(uint16_t type)
{
    switch (type) {
#define NAME(number, name) \
    case number: \
        return name;
        TM_TYPE_NAMES(NAME)
#undef NAME
    }
    return "unknown";
}

/* ---- dates ---- */

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_SECOND)
#define DAYS_TO_1970 719468 /* from 0000-03-01 */
#define DAYS_MIN (-719162)  /* 0001-01-01, the first that Python has */
#define DAYS_MAX 2932896    /* 9999-12-31 */

/* days_of and civil_of are the usual conversions over eras of 400 years that begin in March. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970;
}

static void civil_of(int64_t days, int *year, int *month, int *day)
{
    days += DAYS_TO_1970;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int m = (int)((5 * of_year + 2) / 153);
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int)(y + era * 400) + (*month <= 2);
}

static PyObject *no_date(void)
{
    PyErr_SetString(PyExc_OverflowError, "date value out of range");
    return NULL;
}

static PyObject *date_get(int64_t days)
{
    if (days < DAYS_MIN || days > DAYS_MAX)
        return no_date();
    int year, month, day;
    civil_of(days, &year, &month, &day);
    return PyDate_FromDate(year, month, day);
}

static PyObject *datetime_get(int64_t us)
{
    int64_t days = us / US_PER_DAY, rest = us % US_PER_DAY;
    if (rest < 0) {
        rest += US_PER_DAY;
        days--;
    }
    if (days < DAYS_MIN || days > DAYS_MAX)
        return no_date();
    int year, month, day;
    civil_of(days, &year, &month, &day);
    int seconds = (int)(rest / US_PER_SECOND);
    return PyDateTimeAPI->DateTime_FromDateAndTime(year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60,
                                                   (int)(rest % US_PER_SECOND), PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType);
}

/* datetime_us is a datetime in us since 1970 UTC. */
static int datetime_us(PyObject *v, int64_t *us)
{
    int64_t days = days_of(PyDateTime_GET_YEAR(v), PyDateTime_GET_MONTH(v), PyDateTime_GET_DAY(v));
    int64_t seconds = PyDateTime_DATE_GET_HOUR(v) * 3600 + PyDateTime_DATE_GET_MINUTE(v) * 60 + PyDateTime_DATE_GET_SECOND(v);
    *us = days * US_PER_DAY + seconds * US_PER_SECOND + PyDateTime_DATE_GET_MICROSECOND(v);
    if (PyDateTime_DATE_GET_TZINFO(v) == PyDateTime_TimeZone_UTC)
        return 0;
    PyObject *offset = PyObject_CallMethod(v, "utcoffset", NULL);
    if (!offset)
        return -1;
    if (!PyDelta_Check(offset)) {
        Py_DECREF(offset);
        PyErr_SetString(PyExc_ValueError, "a datetime without a time zone is no point in time: use one with tzinfo, such as timezone.utc");
        return -1;
    }
    *us -= PyDateTime_DELTA_GET_DAYS(offset) * US_PER_DAY + PyDateTime_DELTA_GET_SECONDS(offset) * US_PER_SECOND +
           PyDateTime_DELTA_GET_MICROSECONDS(offset);
    Py_DECREF(offset);
    return 0;
}

/* ---- values ---- */

static const char *const form_names[] = {NULL, "bool", "int", "float", "str", "bytes", "datetime", "date", "Decimal", "list"};

/* short_name is the __name__ of a type. */
const char *short_name(PyTypeObject *t)
{
    const char *dot = strrchr(t->tp_name, '.');
    return dot && !(t->tp_flags & Py_TPFLAGS_HEAPTYPE) ? dot + 1 : t->tp_name;
}

static int wrong_type(const Field *f, PyObject *value)
{
    if (value == Py_None)
        PyErr_Format(PyExc_TypeError, "column %U: it cannot be None", f->name);
    else
        PyErr_Format(PyExc_TypeError, "column %U: it takes %s, not %s", f->name, form_names[f->form], short_name(Py_TYPE(value)));
    return -1;
}

static int out_of_range(const Field *f, PyObject *value)
{
    PyErr_Format(PyExc_OverflowError, "column %U: %S is out of the range of %s", f->name, value, type_name(f->type));
    return -1;
}

static int whole_set(const Field *f, PyObject *value, int64_t *to)
{
    if (!PyLong_Check(value))
        return wrong_type(f, value);
    if (PyUnstable_Long_IsCompact((PyLongObject *)value)) {
        *to = PyUnstable_Long_CompactValue((PyLongObject *)value);
    } else {
        int overflow;
        *to = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return out_of_range(f, value);
    }
    uint32_t width = type_width(f->type);
    if (width < 8) {
        int64_t bound = INT64_C(1) << (8 * width - 1);
        if (*to < -bound || *to >= bound)
            return out_of_range(f, value);
    }
    return 0;
}

static int float_set(const Field *f, PyObject *value, double *to)
{
    if (PyFloat_Check(value)) {
        *to = PyFloat_AS_DOUBLE(value);
    } else if (PyLong_Check(value)) {
        *to = PyLong_AsDouble(value);
        if (*to == -1 && PyErr_Occurred())
            return -1;
    } else {
        return wrong_type(f, value);
    }
    if (f->type == TM_F32)
        *to = (float)*to; /* what is read back is what will be there later */
    return 0;
}

static int text_set(const Field *f, PyObject *value, PyObject **to)
{
    if (f->form == FORM_STR) {
        if (!PyUnicode_Check(value))
            return wrong_type(f, value);
        *to = PyUnicode_FromObject(value);
    } else if (PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value)) {
        *to = PyBytes_FromObject(value);
    } else {
        return wrong_type(f, value);
    }
    if (*to && f->form == FORM_STR && !PyUnicode_AsUTF8AndSize(*to, NULL)) /* lone surrogates */
        Py_CLEAR(*to);
    return *to ? 0 : -1;
}

static int date_set(const Field *f, PyObject *value, int64_t *to)
{
    if (f->form == FORM_DATE) {
        if (!PyDate_Check(value) || PyDateTime_Check(value))
            return wrong_type(f, value);
        *to = days_of(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value));
        return 0;
    }
    if (!PyDateTime_Check(value))
        return wrong_type(f, value);
    return datetime_us(value, to);
}

static int number_set(const Field *f, PyObject *value, Decimal *to)
{
    if (!decimal_check(value))
        return wrong_type(f, value);
    int r = decimal_set(value, f->digits, f->scale, to);
    if (r > 0)
        PyErr_Format(PyExc_ValueError, "column %U: %S does not fit %S", f->name, value, f->declared);
    return r ? -1 : 0;
}

static int list_set(const Field *f, PyObject *value, Elements **to)
{
    if (!PyList_Check(value) && !PyTuple_Check(value))
        return wrong_type(f, value);
    return (*to = elements_set(f->element, value)) ? 0 : -1;
}

/* datum_set checks a value of the user's against its column. On success what is held is a strong reference. */
int datum_set(const Field *f, PyObject *value, Datum *d)
{
    if (value == Py_None && f->nullable) {
        d->i = 0;
        d->valid = false;
        return 0;
    }
    d->valid = true;
    switch (f->form) {
    case FORM_INT:
        return whole_set(f, value, &d->i);
    case FORM_FLOAT:
        return float_set(f, value, &d->f);
    case FORM_BOOL:
        if (!PyBool_Check(value))
            return wrong_type(f, value);
        d->i = value == Py_True;
        return 0;
    case FORM_STR:
    case FORM_BYTES:
        return text_set(f, value, &d->text);
    case FORM_DECIMAL:
        return number_set(f, value, &d->decimal);
    case FORM_LIST:
        return list_set(f, value, &d->list);
    default:
        return date_set(f, value, &d->i);
    }
}

static PyObject *whole_get(const Field *f, int64_t v)
{
    switch (f->form) {
    case FORM_BOOL:
        return PyBool_FromLong(v != 0);
    case FORM_DATE:
        return date_get(v);
    case FORM_DATETIME:
        return datetime_get(v);
    default:
        return PyLong_FromLongLong(v);
    }
}

/* datum_get is the Python object of a value. */
PyObject *datum_get(const Field *f, const Datum *d)
{
    if (!d->valid)
        return Py_NewRef(Py_None);
    switch (f->form) {
    case FORM_STR:
    case FORM_BYTES:
        return Py_NewRef(d->text);
    case FORM_FLOAT:
        return PyFloat_FromDouble(d->f);
    case FORM_DECIMAL:
        return decimal_get(d->decimal, f->scale);
    case FORM_LIST:
        return elements_get(d->list);
    default:
        return whole_get(f, d->i);
    }
}

/* whole_at is a value of a column of whole numbers, dates or timestamps. A column without values is that of event times of
 * a stream that has none. */
static int64_t whole_at(const Column *c, uint32_t i)
{
    if (!c->values)
        return TM_WATERMARK_NONE;
    switch (c->type) {
    case TM_BOOL:
        return bit_at(c->values, i);
    case TM_I8:
        return ((const int8_t *)c->values)[i];
    case TM_I16:
        return ((const int16_t *)c->values)[i];
    case TM_I32:
    case TM_DATE32:
        return ((const int32_t *)c->values)[i];
    default:
        return ((const int64_t *)c->values)[i];
    }
}

static double float_at(const Column *c, uint32_t i)
{
    if (c->type == TM_F64)
        return ((const double *)c->values)[i];
    if (c->type == TM_F32)
        return ((const float *)c->values)[i];
    return (double)whole_at(c, i);
}

static Decimal decimal_at(const Column *c, uint32_t i) { return ((const Decimal *)c->values)[i]; }

static PyObject *text_at(const Field *f, const Column *c, uint32_t i)
{
    int32_t from = c->offsets[i], n = c->offsets[i + 1] - from;
    const char *bytes = (const char *)c->values + from;
    if (f->form == FORM_STR)
        return PyUnicode_DecodeUTF8(bytes, n, NULL);
    return PyBytes_FromStringAndSize(bytes, n);
}

/* column_value is row i of a column as a Python object. The column may be of a narrower type than the field. */
PyObject *column_value(const Field *f, const Column *c, uint32_t i)
{
    if (c->validity && !bit_at(c->validity, i))
        return Py_NewRef(Py_None);
    switch (f->form) {
    case FORM_STR:
    case FORM_BYTES:
        return text_at(f, c, i);
    case FORM_FLOAT:
        return PyFloat_FromDouble(float_at(c, i));
    case FORM_DECIMAL:
        return decimal_get(decimal_at(c, i), f->scale);
    case FORM_LIST:
        return elements_list(f->element, c, i);
    default:
        return whole_get(f, whole_at(c, i));
    }
}

/* column_datum is row i of a column. What is held is a strong reference. */
int column_datum(const Field *f, const Column *c, uint32_t i, Datum *d)
{
    d->i = 0;
    d->valid = !c->validity || bit_at(c->validity, i);
    if (!d->valid)
        return 0;
    switch (f->form) {
    case FORM_STR:
    case FORM_BYTES:
        return (d->text = text_at(f, c, i)) ? 0 : -1;
    case FORM_FLOAT:
        d->f = float_at(c, i);
        return 0;
    case FORM_DECIMAL:
        d->decimal = decimal_at(c, i);
        return 0;
    case FORM_LIST:
        return (d->list = elements_at(f->element, c, i)) ? 0 : -1;
    default:
        d->i = whole_at(c, i);
        return 0;
    }
}

/* ---- rows ---- */

static int wrong_row(const Layout *l, PyObject *row, PyObject *what)
{
    PyErr_Format(PyExc_TypeError, "%U: it takes %s, not %s", what, l->cls->tp_name, short_name(Py_TYPE(row)));
    return -1;
}

/* stored is where a row of the layout's very class keeps a field; NULL where it has to be looked up. */
static inline PyObject **stored(const Layout *l, const Field *f, PyObject *row)
{
    if (l->storage == STORE_SLOTS)
        return (PyObject **)((char *)row + f->place);
    if (l->storage == STORE_INLINE && _PyObject_InlineValues(row)->valid)
        return &_PyObject_InlineValues(row)->values[f->place];
    return NULL;
}

static int field_data(const Layout *l, const Field *f, PyObject *row, Datum *d)
{
    PyObject **at = Py_IS_TYPE(row, l->cls) ? stored(l, f, row) : NULL;
    PyObject *value = at && *at ? Py_NewRef(*at) : PyObject_GetAttr(row, f->attribute);
    if (!value)
        return -1;
    int r = datum_set(f, value, d);
    Py_DECREF(value);
    return r;
}

static void data_clear_first(const Layout *l, Datum *data, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (data[i].valid && is_held(l->fields[i].type)) {
            data[i].valid = false;
            Py_CLEAR(data[i].held);
        }
}

/* data_clear gives back what data holds. */
void data_clear(const Layout *l, Datum *data)
{
    if (l->holds)
        data_clear_first(l, data, l->n);
}

/* data_copy copies data to memory that holds none. */
void data_copy(const Layout *l, Datum *to, const Datum *from)
{
    memcpy(to, from, l->n * sizeof *to);
    for (uint32_t i = 0; l->holds && i < l->n; i++)
        if (to[i].valid && is_held(l->fields[i].type))
            Py_INCREF(to[i].held);
}

/* row_data checks a row of the user's; what is told in the error if it is none of the class. */
int row_data(const Layout *l, PyObject *row, PyObject *what, Datum *data)
{
    if (!l->cls)
        return datum_set(&l->fields[0], row, data);
    if (!Py_IS_TYPE(row, l->cls) && !PyObject_TypeCheck(row, l->cls))
        return wrong_row(l, row, what);
    for (uint32_t i = 0; i < l->n; i++)
        if (field_data(l, &l->fields[i], row, &data[i]) < 0) {
            data_clear_first(l, data, i);
            return -1;
        }
    return 0;
}

static PyObject *row_new(const Layout *l)
{
    if (l->storage != STORE_ATTRIBUTE)
        return l->cls->tp_alloc(l->cls, 0);
    PyObject *none = PyTuple_New(0);
    PyObject *row = none ? PyBaseObject_Type.tp_new(l->cls, none, NULL) : NULL;
    Py_XDECREF(none);
    return row;
}

/* row_set puts a field, whose reference it takes over, into a row that row_new made. */
static inline int row_set(const Layout *l, const Field *f, PyObject *row, PyObject *value)
{
    if (!value)
        return -1;
    switch (l->storage) {
    case STORE_SLOTS:
        *(PyObject **)((char *)row + f->place) = value;
        return 0;
    case STORE_INLINE: {
        PyDictValues *values = _PyObject_InlineValues(row);
        values->values[f->place] = value;
        _PyDictValues_AddToInsertionOrder(values, f->place);
        return 0;
    }
    default: {
        int r = PyObject_GenericSetAttr(row, f->attribute, value);
        Py_DECREF(value);
        return r;
    }
    }
}

/* column_row is row i of columns as a row for the user. */
PyObject *column_row(const Layout *l, const Column *columns, uint32_t i)
{
    if (!l->cls)
        return column_value(&l->fields[0], &columns[0], i);
    PyObject *row = row_new(l);
    for (uint32_t k = 0; row && k < l->n; k++)
        if (row_set(l, &l->fields[k], row, column_value(&l->fields[k], &columns[k], i)) < 0)
            Py_CLEAR(row);
    return row;
}

/* column_reuse makes a row that column_row made, and that nobody else has, row i of columns. */
int column_reuse(const Layout *l, PyObject *row, const Column *columns, uint32_t i)
{
    for (uint32_t k = 0; k < l->n; k++) {
        PyObject **at = (PyObject **)((char *)row + l->fields[k].place), *old = *at;
        PyObject *value = column_value(&l->fields[k], &columns[k], i);
        if (!value)
            return -1;
        *at = value;
        Py_XDECREF(old);
    }
    return 0;
}

/* values_row is a row of objects, whose references it takes over. */
PyObject *values_row(const Layout *l, PyObject **values)
{
    PyObject *row = row_new(l);
    for (uint32_t k = 0; k < l->n; k++)
        if (!row)
            Py_DECREF(values[k]);
        else if (row_set(l, &l->fields[k], row, values[k]) < 0)
            Py_CLEAR(row);
    return row;
}

/* data_row is data as a row for the user. */
PyObject *data_row(const Layout *l, const Datum *data)
{
    if (!l->cls)
        return datum_get(&l->fields[0], data);
    PyObject *row = row_new(l);
    for (uint32_t k = 0; row && k < l->n; k++)
        if (row_set(l, &l->fields[k], row, datum_get(&l->fields[k], &data[k])) < 0)
            Py_CLEAR(row);
    return row;
}

/* column_data is row i of columns, in memory that holds no data. */
int column_data(const Layout *l, const Column *columns, uint32_t i, Datum *data)
{
    for (uint32_t k = 0; k < l->n; k++)
        if (column_datum(&l->fields[k], &columns[k], i, &data[k]) < 0) {
            data_clear_first(l, data, k);
            return -1;
        }
    return 0;
}

/* data_held_bytes is what the contents of all texts and lists take. */
uint32_t data_held_bytes(const Layout *l, const Datum *data)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; l->holds && i < l->n; i++) {
        const Field *f = &l->fields[i];
        uint32_t n = 0;
        if (data[i].valid && is_text(f->type))
            text_bytes(&data[i], &n);
        else if (data[i].valid && f->element)
            n = (uint32_t)Py_SIZE(data[i].list) * type_width(f->element->fields[0].type);
        sum += n;
        for (uint32_t k = 0; n > 0 && f->element && k < Py_SIZE(data[i].list); k++)
            sum += data_held_bytes(f->element, &data[i].list->data[k]);
    }
    return sum;
}

static int compare_bytes(const char *a, uint32_t an, const char *b, uint32_t bn)
{
    int r = memcmp(a, b, an < bn ? an : bn);
    return r ? r : (an > bn) - (an < bn);
}

/* data_compare orders map keys as the host does: null first, texts by their bytes. */
int data_compare(const Layout *l, const Datum *a, const Datum *b)
{
    for (uint32_t i = 0; i < l->n; i++) {
        int r = a[i].valid - b[i].valid;
        if (r == 0 && a[i].valid) {
            if (is_text(l->fields[i].type)) {
                uint32_t an, bn;
                const char *at = text_bytes(&a[i], &an), *bt = text_bytes(&b[i], &bn);
                r = compare_bytes(at, an, bt, bn);
            } else if (l->fields[i].type == TM_DECIMAL128) {
                r = decimal_compare(a[i].decimal, b[i].decimal);
            } else {
                r = (a[i].i > b[i].i) - (a[i].i < b[i].i);
            }
        }
        if (r)
            return r;
    }
    return 0;
}

/* data_compare_row is data_compare with row i of columns. */
int data_compare_row(const Layout *l, const Datum *data, const Column *columns, uint32_t i)
{
    for (uint32_t k = 0; k < l->n; k++) {
        const Column *c = &columns[k];
        int r = data[k].valid - (!c->validity || bit_at(c->validity, i));
        if (r == 0 && data[k].valid) {
            if (is_text(l->fields[k].type)) {
                uint32_t n;
                const char *text = text_bytes(&data[k], &n);
                r = compare_bytes(text, n, (const char *)c->values + c->offsets[i], (uint32_t)(c->offsets[i + 1] - c->offsets[i]));
            } else if (l->fields[k].type == TM_DECIMAL128) {
                r = decimal_compare(data[k].decimal, decimal_at(c, i));
            } else {
                int64_t v = whole_at(c, i);
                r = (data[k].i > v) - (data[k].i < v);
            }
        }
        if (r)
            return r;
    }
    return 0;
}

/* ---- writing columns ---- */

static void write_bits(Builder *b, uint32_t span, const Rows *rows, uint32_t k, bool validity)
{
    uint32_t bytes = (rows->n + 7) / 8;
    uint8_t *bits = builder_buffer(b, span, bytes);
    if (!bits)
        return;
    memset(bits, 0, bytes);
    for (uint32_t i = 0; i < rows->n; i++) {
        const Datum *d = rows_at(rows, i) + k;
        if (validity ? d->valid : d->valid && d->i)
            bits[i >> 3] |= (uint8_t)(1 << (i & 7));
    }
}

static void write_texts(Builder *b, uint32_t node, const Rows *rows, uint32_t k)
{
    int32_t *offsets = builder_buffer(b, node + 24, (rows->n + 1) * 4);
    if (!offsets)
        return;
    uint32_t at = (uint32_t)((uint8_t *)offsets - b->buffer), size = 0, n;
    for (uint32_t i = 0; i < rows->n; i++) {
        const Datum *d = rows_at(rows, i) + k;
        offsets[i] = (int32_t)size;
        if (d->valid) {
            text_bytes(d, &n);
            size += n;
        }
    }
    offsets[rows->n] = (int32_t)size;
    char *to = builder_buffer(b, node + 32, size);
    if (!to)
        return;
    offsets = (int32_t *)(b->buffer + at);
    for (uint32_t i = 0; i < rows->n; i++) {
        const Datum *d = rows_at(rows, i) + k;
        if (d->valid) {
            const char *text = text_bytes(d, &n);
            memcpy(to + offsets[i], text, n);
        }
    }
}

#define WRITE(type, member) \
    for (uint32_t i = 0; i < rows->n; i++) { \
        const Datum *d = rows_at(rows, i) + k; \
        ((type *)to)[i] = d->valid ? (type)d->member : 0; \
    }

static void write_numbers(Builder *b, uint32_t node, uint16_t type, const Rows *rows, uint32_t k)
{
    void *to = builder_buffer(b, node + 32, rows->n * type_width(type));
    if (!to)
        return;
    switch (type) {
    case TM_I8:
        WRITE(int8_t, i)
        break;
    case TM_I16:
        WRITE(int16_t, i)
        break;
    case TM_I32:
    case TM_DATE32:
        WRITE(int32_t, i)
        break;
    case TM_F32:
        WRITE(float, f)
        break;
    case TM_F64:
        WRITE(double, f)
        break;
    case TM_DECIMAL128:
        for (uint32_t i = 0; i < rows->n; i++) {
            const Datum *d = rows_at(rows, i) + k;
            ((Decimal *)to)[i] = d->valid ? d->decimal : (Decimal){0};
        }
        break;
    default:
        WRITE(int64_t, i)
    }
}

/* write_lists writes the offsets of lists, and their elements as the column of the next node. */
static void write_lists(const Field *f, Builder *b, uint32_t node, const Rows *rows, uint32_t k)
{
    uint32_t size = 0;
    builder_put32(b, node + 12, 1);
    int32_t *offsets = rows->n ? builder_buffer(b, node + 24, (rows->n + 1) * 4) : NULL;
    for (uint32_t i = 0; offsets && i < rows->n; i++) {
        const Datum *d = rows_at(rows, i) + k;
        offsets[i] = (int32_t)size;
        size += d->valid ? (uint32_t)Py_SIZE(d->list) : 0;
    }
    if (offsets)
        offsets[rows->n] = (int32_t)size;
    Datum *all = PyMem_Malloc((size + 1) * sizeof *all), *to = all;
    if (!all) {
        b->failed = true;
        return;
    }
    for (uint32_t i = 0; offsets && i < rows->n; i++) {
        const Datum *d = rows_at(rows, i) + k;
        uint32_t n = d->valid ? (uint32_t)Py_SIZE(d->list) : 0;
        if (n)
            memcpy(to, d->list->data, n * sizeof *to);
        to += n;
    }
    rows_write(f->element, b, node + TM_NODE_SIZE, &(Rows){(uint8_t *)all, sizeof *all, size, NULL});
    PyMem_Free(all);
}

/* rows_write writes rows as columns, whose nodes begin at an offset of the builder. */
void rows_write(const Layout *l, Builder *b, uint32_t nodes, const Rows *rows)
{
    uint32_t node = nodes;
    for (uint32_t k = 0; k < l->n; node += node_count(&l->fields[k]) * TM_NODE_SIZE, k++) {
        const Field *f = &l->fields[k];
        uint32_t nulls = 0;
        builder_put16(b, node, f->type);
        builder_put32(b, node + 4, rows->n);
        if (f->element)
            write_lists(f, b, node, rows, k);
        if (rows->n == 0)
            continue;
        for (uint32_t i = 0; f->nullable && i < rows->n; i++)
            nulls += !rows_at(rows, i)[k].valid;
        if (nulls) {
            builder_put32(b, node + 8, nulls);
            write_bits(b, node + 16, rows, k, true);
        }
        if (f->type == TM_BOOL)
            write_bits(b, node + 32, rows, k, false);
        else if (is_text(f->type))
            write_texts(b, node, rows, k);
        else if (!f->element)
            write_numbers(b, node, f->type, rows, k);
    }
}

/* ---- finding out ---- */

/* layout_plain says whether instances are made as object makes them: only classes written in Python and object are its
 * bases. */
bool layout_plain(PyTypeObject *cls)
{
    for (; cls != &PyBaseObject_Type; cls = cls->tp_base)
        if (!(cls->tp_flags & Py_TPFLAGS_HEAPTYPE) || cls->tp_alloc != PyType_GenericAlloc)
            return false;
    return true;
}

static bool has_slots(Layout *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        PyObject *d = _PyType_Lookup(l->cls, l->fields[i].attribute);
        if (!d || !Py_IS_TYPE(d, &PyMemberDescr_Type))
            return false;
        PyMemberDef *member = ((PyMemberDescrObject *)d)->d_member;
        if (member->type != Py_T_OBJECT_EX || member->flags & Py_RELATIVE_OFFSET)
            return false;
        l->fields[i].place = member->offset;
    }
    return true;
}

/* has_inline looks where the values of an instance lie, which the interpreter decides when the first instance gets them. */
static bool has_inline(Layout *l)
{
    if (!(l->cls->tp_flags & Py_TPFLAGS_INLINE_VALUES))
        return false;
    PyObject *probe = l->cls->tp_alloc(l->cls, 0);
    bool found = probe != NULL;
    for (uint32_t i = 0; found && i < l->n; i++) {
        PyObject *name = l->fields[i].attribute, *d = _PyType_Lookup(l->cls, name);
        found = !(d && Py_TYPE(d)->tp_descr_set) && PyObject_GenericSetAttr(probe, name, Py_None) == 0;
        if (found) {
            l->fields[i].place = _PyDictKeys_StringLookup(((PyHeapTypeObject *)l->cls)->ht_cached_keys, name);
            found = l->fields[i].place >= 0 && l->fields[i].place < _PyObject_InlineValues(probe)->capacity;
        }
    }
    PyErr_Clear();
    Py_XDECREF(probe);
    return found;
}

/* parse_type takes a Type of tidemill._types and returns that of a list's elements. */
static PyObject *parse_type(PyObject *type, Field *f)
{
    PyObject *element;
    if (!PyArg_ParseTuple(type, "HbbO", &f->type, &f->digits, &f->scale, &element))
        return NULL;
    f->declared = Py_NewRef(type);
    return element;
}

/* element_layout is the elements of a list in a column as rows of one column. */
static Layout *element_layout(PyObject *list, PyObject *type, int form)
{
    Layout *l = PyMem_Calloc(1, sizeof *l);
    if (!l || !(l->fields = PyMem_Calloc(1, sizeof *l->fields)))
        return (Layout *)PyErr_NoMemory();
    Field *f = l->fields;
    f->form = form;
    f->name = f->attribute = PyUnicode_FromFormat("%U[]", list);
    if (!f->name || !parse_type(type, f))
        return NULL;
    l->n = l->nodes = 1;
    l->holds = is_held(f->type);
    return l;
}

static int parse_field(PyObject *item, Layout *l, Field *f)
{
    PyObject *type, *element;
    int form, nullable, column, element_form;
    if (!PyArg_ParseTuple(item, "UUO!ipii", &f->name, &f->attribute, &PyTuple_Type, &type, &form, &nullable, &column, &element_form) ||
        !(element = parse_type(type, f)))
        return -1;
    Py_INCREF(f->name);
    Py_INCREF(f->attribute);
    PyUnicode_InternInPlace(&f->attribute);
    f->form = form;
    f->nullable = nullable;
    f->column = column;
    if (element != Py_None && !(f->element = element_layout(f->name, element, element_form)))
        return -1;
    l->holds |= is_held(f->type);
    l->nodes += node_count(f);
    return 0;
}

/* layout_of makes the layout of a Rows of tidemill._declare: (cls, fields, columns), a field being (name, attribute, type,
 * form, nullable, column, element). */
Layout *layout_of(PyObject *rows)
{
    PyObject *cls, *fields;
    int columns;
    if (!PyArg_ParseTuple(rows, "OO!i", &cls, &PyTuple_Type, &fields, &columns))
        return NULL;
    Layout *l = PyMem_Calloc(1, sizeof *l);
    uint32_t n = (uint32_t)PyTuple_GET_SIZE(fields);
    if (!l || !(l->fields = PyMem_Calloc(n ? n : 1, sizeof *l->fields)))
        return (Layout *)PyErr_NoMemory();
    l->n = n;
    for (uint32_t i = 0; i < n; i++)
        if (parse_field(PyTuple_GET_ITEM(fields, i), l, &l->fields[i]) < 0)
            return NULL;
    if (cls != Py_None) {
        l->cls = (PyTypeObject *)Py_NewRef(cls);
        l->storage = !layout_plain(l->cls) ? STORE_ATTRIBUTE : has_slots(l) ? STORE_SLOTS : has_inline(l) ? STORE_INLINE : STORE_ATTRIBUTE;
        l->reusable = l->storage == STORE_SLOTS && l->cls->tp_basicsize == (Py_ssize_t)(sizeof(PyObject) + n * sizeof(PyObject *)) &&
                      !l->cls->tp_weaklistoffset && !l->cls->tp_finalize;
    }
    return l;
}

/* layout_columns puts the columns of a section in the order of the fields. */
void layout_columns(const Layout *l, const Column *from, Column *to)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->fields[i].column >= 0)
            to[i] = from[l->fields[i].column];
}

/* layout_init makes dates and decimals known. */
int layout_init(void)
{
    PyDateTime_IMPORT;
    return PyDateTimeAPI ? decimal_init() : -1;
}
