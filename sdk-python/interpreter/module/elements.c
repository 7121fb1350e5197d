/* Lists of a row's column, not to be confused with the state of list.c: the elements as data, taken apart when the row is
 * written, so that what becomes of the user's list afterwards does not matter. */
#include "tidemill.h"

static Elements *elements_new(const Layout *l, uint32_t n)
{
    Elements *e = PyObject_NewVar(Elements, &Elements_Type, n);
    if (!e)
        return NULL;
    e->layout = l;
    memset(e->data, 0, n * sizeof *e->data);
    return e;
}

static void elements_dealloc(PyObject *self)
{
    Elements *e = (Elements *)self;
    for (Py_ssize_t i = 0; i < Py_SIZE(e); i++)
        data_clear(e->layout, &e->data[i]);
    PyObject_Free(self);
}

PyTypeObject Elements_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_tidemill.Elements",
    .tp_basicsize = offsetof(Elements, data),
    .tp_itemsize = sizeof(Datum),
    .tp_dealloc = elements_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

/* elements_set is a list or tuple of the user's. Checking an element may run code of the user's, which may shorten it. */
Elements *elements_set(const Layout *l, PyObject *list)
{
    Elements *e = elements_new(l, (uint32_t)PySequence_Fast_GET_SIZE(list));
    for (Py_ssize_t i = 0; e && i < Py_SIZE(e); i++) {
        PyObject *value = i < PySequence_Fast_GET_SIZE(list) ? Py_NewRef(PySequence_Fast_GET_ITEM(list, i)) : NULL;
        if (!value)
            PyErr_SetString(PyExc_RuntimeError, "a list changed while it was written");
        if (!value || datum_set(&l->fields[0], value, &e->data[i]) < 0) {
            e->data[i].valid = false;
            Py_CLEAR(e);
        }
        Py_XDECREF(value);
    }
    return e;
}

/* elements_at is row i of a column of lists. */
Elements *elements_at(const Layout *l, const Column *c, uint32_t i)
{
    Column column = column_elements(c);
    int32_t from = c->offsets[i];
    Elements *e = elements_new(l, (uint32_t)(c->offsets[i + 1] - from));
    for (Py_ssize_t k = 0; e && k < Py_SIZE(e); k++)
        if (column_datum(&l->fields[0], &column, (uint32_t)(from + k), &e->data[k]) < 0) {
            e->data[k].valid = false;
            Py_CLEAR(e);
        }
    return e;
}

/* elements_get is a new list of the elements. */
PyObject *elements_get(const Elements *e)
{
    PyObject *list = PyList_New(Py_SIZE(e));
    for (Py_ssize_t i = 0; list && i < Py_SIZE(e); i++) {
        PyObject *value = datum_get(&e->layout->fields[0], &e->data[i]);
        if (value)
            PyList_SET_ITEM(list, i, value);
        else
            Py_CLEAR(list);
    }
    return list;
}

/* elements_list is row i of a column of lists as a new list. */
PyObject *elements_list(const Layout *l, const Column *c, uint32_t i)
{
    Column column = column_elements(c);
    int32_t from = c->offsets[i], n = c->offsets[i + 1] - from;
    PyObject *list = PyList_New(n);
    for (int32_t k = 0; list && k < n; k++) {
        PyObject *value = column_value(&l->fields[0], &column, (uint32_t)(from + k));
        if (value)
            PyList_SET_ITEM(list, k, value);
        else
            Py_CLEAR(list);
    }
    return list;
}
