/* Making rows of the user's: a row class with __slots__ gets a constructor and a destructor in C.
 *
 * The constructor that dataclasses writes is a Python function, and CPython calls it for such classes the slow way, through a
 * tuple of arguments: most of what emitting a row costs. The one here does the same for calls with the right arguments and
 * leaves all others, which are errors, to the one in Python. The destructor keeps one row of the class for the next: rows
 * live from their making to their emission, and rarely two at a time. */
#include "tidemill.h"
#include "internal/pycore_call.h"
#include "internal/pycore_object.h"
#include "internal/pycore_pystate.h"
#include <structmember.h>

/* Member is a field of a class. */
typedef struct {
    PyObject *name;     /* interned */
    PyObject *fallback; /* the default, or NULL */
    Py_ssize_t offset;  /* of the slot */
    bool given;         /* is an argument */
} Member;

typedef struct {
    PyTypeObject *cls;
    uint32_t n, arguments;
    Member *members; /* arguments first, in their order */
    PyObject *spare; /* a row without values that nobody has, or NULL */
} Maker;

static Maker *makers;
static uint32_t makers_n, makers_capacity;

static Maker *maker_of(PyTypeObject *cls)
{
    for (uint32_t i = 0; i < makers_n; i++)
        if (makers[i].cls == cls)
            return &makers[i];
    return NULL;
}

static PyObject *keyword(const Maker *m, uint32_t i, PyObject *const *values, PyObject *names)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(names); k++)
        if (PyTuple_GET_ITEM(names, k) == m->members[i].name)
            return values[k];
    return NULL;
}

/* fill sets the slots of a new row; it says whether the arguments were right. */
static bool fill(const Maker *m, PyObject *row, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    Py_ssize_t used = n;
    for (uint32_t i = 0; i < m->n; i++) {
        const Member *member = &m->members[i];
        PyObject *value = NULL;
        if (member->given && i < n)
            value = args[i];
        else if (member->given && names && (value = keyword(m, i, args + n, names)))
            used++;
        if (!value)
            value = member->fallback;
        if (!value)
            return false;
        *(PyObject **)((char *)row + member->offset) = Py_NewRef(value);
    }
    return used == n + (names ? PyTuple_GET_SIZE(names) : 0);
}

static PyObject *new_row(Maker *m)
{
    PyObject *row = m->spare;
    if (!row)
        return m->cls->tp_alloc(m->cls, 0);
    m->spare = NULL;
    _Py_NewReference(row);
    _PyObject_GC_TRACK(row);
    return row;
}

static PyObject *make(PyObject *cls, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Maker *m = maker_of((PyTypeObject *)cls);
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (n <= m->arguments) {
        PyObject *row = new_row(m);
        if (!row || fill(m, row, args, n, names))
            return row;
        Py_DECREF(row);
    }
    return _PyObject_MakeTpCall(_PyThreadState_GET(), cls, args, n, names);
}

/* release takes down a row of a class, or of one derived from it, whose own slots are empty by now. */
static void release(PyObject *row)
{
    PyTypeObject *cls = Py_TYPE(row), *base = cls;
    PyObject_GC_UnTrack(row);
    Py_TRASHCAN_BEGIN(row, release)
    while (base->tp_dealloc != release)
        base = base->tp_base;
    Maker *m = maker_of(base);
    for (uint32_t i = 0; i < m->n; i++)
        Py_CLEAR(*(PyObject **)((char *)row + m->members[i].offset));
    if (base == cls && !m->spare) {
        m->spare = row;
    } else {
        cls->tp_free(row);
        Py_DECREF(cls);
    }
    Py_TRASHCAN_END
}

/* is_bare says whether instances hold so many slots and nothing else, and nothing else is to be done when they end. */
static bool is_bare(PyTypeObject *cls, uint32_t slots)
{
    return cls->tp_basicsize == (Py_ssize_t)(sizeof(PyObject) + slots * sizeof(PyObject *)) && _PyType_IS_GC(cls) &&
           !(cls->tp_flags & Py_TPFLAGS_PREHEADER) && !cls->tp_weaklistoffset && !cls->tp_dictoffset && !cls->tp_finalize && !cls->tp_del;
}

static int parse_member(PyTypeObject *cls, PyObject *field, Member *to)
{
    int given;
    if (!PyArg_ParseTuple(field, "Up|O", &to->name, &given, &to->fallback))
        return -1;
    PyObject *slot = _PyType_Lookup(cls, to->name);
    if (!slot || !Py_IS_TYPE(slot, &PyMemberDescr_Type) || ((PyMemberDescrObject *)slot)->d_member->type != Py_T_OBJECT_EX)
        return 1;
    to->offset = ((PyMemberDescrObject *)slot)->d_member->offset;
    to->given = given;
    Py_INCREF(to->name);
    PyUnicode_InternInPlace(&to->name);
    Py_XINCREF(to->fallback);
    return 0;
}

/* make_quick gives a class its constructor and, where it can, its destructor. fields are those of the class, arguments of __init__ first: (name, whether it
 * is an argument) and, where there is one, the default. A class whose fields are not all slots stays as it is. */
PyObject *make_quick(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *cls, *fields;
    if (!PyArg_ParseTuple(args, "O!O!:quicken", &PyType_Type, &cls, &PyTuple_Type, &fields))
        return NULL;
    Maker m = {.cls = (PyTypeObject *)cls, .n = (uint32_t)PyTuple_GET_SIZE(fields)};
    if (maker_of(m.cls) || m.cls->tp_vectorcall || !layout_plain(m.cls))
        Py_RETURN_NONE;
    m.members = PyMem_Calloc(m.n + 1, sizeof *m.members);
    if (!m.members || grow(&makers, &makers_capacity, makers_n + 1, sizeof m) < 0)
        return PyErr_NoMemory();
    for (uint32_t i = 0; i < m.n; i++) {
        int r = parse_member(m.cls, PyTuple_GET_ITEM(fields, i), &m.members[i]);
        if (r < 0)
            return NULL;
        if (r > 0)
            Py_RETURN_NONE;
        m.arguments += m.members[i].given;
    }
    Py_INCREF(cls);
    makers[makers_n++] = m;
    m.cls->tp_vectorcall = make;
    if (is_bare(m.cls, m.n))
        m.cls->tp_dealloc = release;
    Py_RETURN_NONE;
}
