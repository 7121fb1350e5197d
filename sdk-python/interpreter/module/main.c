/* The module's exports, and the interpreter's start.
 *
 * _initialize starts the interpreter and imports what operators usually need, so that the memory as it is then can be
 * copied to begin an instance with. All that depends on the operator's code comes later, by tidemill_load or, where the
 * module carries the code itself, at the first describe or open. Opening, describing and loading are tidemill._guest's;
 * only frames are processed here. */
#include "tidemill.h"

#define EXPORT(name) __attribute__((export_name(#name), used))

/* Code is where a module that carries an operator's code has it: written into the module's data by who builds it. */
typedef struct {
    const uint8_t *archive;
    uint32_t len;
} Code;

__attribute__((used, visibility("default"))) volatile Code tidemill_code;

static Engine *engine;   /* of slot 0 */
static PyObject *guest;  /* the module tidemill._guest */
static PyObject *answer; /* bytes, valid until the next call */
static bool loaded;      /* the code that the module carries */

/* ---- the module _tidemill ---- */

static PyObject *m_log(PyObject *Py_UNUSED(self), PyObject *args)
{
    int level;
    const char *line;
    Py_ssize_t n;
    if (!PyArg_ParseTuple(args, "is#:log", &level, &line, &n))
        return NULL;
    host_log(level, line, (uint32_t)(n < TM_LOG_LINE_BYTES_MAX ? n : TM_LOG_LINE_BYTES_MAX));
    Py_RETURN_NONE;
}

static PyObject *m_use(PyObject *Py_UNUSED(self), PyObject *e)
{
    if (!Py_IS_TYPE(e, &Engine_Type))
        return PyErr_Format(PyExc_TypeError, "use() takes an Engine");
    Py_XSETREF(engine, (Engine *)Py_NewRef(e));
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"log", m_log, METH_VARARGS, "log(level, line): writes a line to the operator's log."},
    {"quicken", make_quick, METH_VARARGS, "quicken(cls, fields): gives a row class a constructor in C."},
    {"use", m_use, METH_O, "use(engine): frames go to this engine from now on."},
    {0},
};

static int module_exec(PyObject *m)
{
    PyTypeObject *types[] = {&Engine_Type, &Input_Type,  &Output_Type,  &BatchOutput_Type, &Batch_Type,   &Elements_Type, &Value_Type,
                             &List_Type,   &Map_Type,    &ListLoop_Type, &MapLoop_Type,    &Timer_Type,   &Counter_Type,  &Gauge_Type,
                             &KeyReader_Type};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (PyType_Ready(types[i]) < 0)
            return -1;
    if (layout_init() < 0 || PyModule_AddType(m, &Engine_Type) < 0)
        return -1;
    return PyModule_AddIntConstant(m, "FAULT_CELL", (long)(uintptr_t)&fault_cell);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, module_exec}, {0}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_tidemill", .m_doc = "The engine of a Python guest.", .m_methods = methods, .m_slots = slots,
};

static PyObject *init_module(void) { return PyModuleDef_Init(&definition); }

/* ---- the interpreter ---- */

static const unsigned char frozen_bytes[] __attribute__((aligned(16))) = {
#embed "frozen.bin"
};

static const struct _frozen frozen_modules[] = {
#include "frozen.h"
    {0},
};

/* give_up ends the instance: there is no answer that could tell of this. */
static _Noreturn void give_up(const char *what)
{
    if (PyErr_Occurred())
        PyErr_Print();
    fault_cell.message = what;
    fault_cell.message_len = (uint32_t)strlen(what);
    __builtin_trap();
}

static PyStatus configure(PyConfig *c)
{
    PyConfig_InitIsolatedConfig(c);
    c->site_import = c->write_bytecode = c->pathconfig_warnings = c->install_signal_handlers = c->parse_argv = 0;
    c->use_hash_seed = 1; /* the same order of sets in all instances */
    c->hash_seed = 0;
    c->module_search_paths_set = 1; /* sys.path is empty: modules come frozen and from the code archive */
    c->use_frozen_modules = 1;
    struct {
        wchar_t **field;
        const wchar_t *value;
    } texts[] = {
        {&c->program_name, L"python"}, {&c->executable, L""}, {&c->base_executable, L""}, {&c->prefix, L""}, {&c->base_prefix, L""},
        {&c->exec_prefix, L""}, {&c->base_exec_prefix, L""}, {&c->stdlib_dir, L""}, {&c->platlibdir, L"lib"},
    };
    PyStatus s = PyStatus_Ok();
    for (size_t i = 0; i < sizeof texts / sizeof *texts && !PyStatus_Exception(s); i++)
        s = PyConfig_SetString(c, texts[i].field, texts[i].value);
    return s;
}

/* start runs within _initialize. */
__attribute__((constructor)) static void start(void)
{
    PyPreConfig before;
    PyPreConfig_InitIsolatedConfig(&before);
    before.utf8_mode = 1;
    before.configure_locale = before.coerce_c_locale = 0;
    PyStatus s = Py_PreInitialize(&before);
    PyImport_FrozenModules = frozen_modules;
    PyConfig config;
    if (PyStatus_Exception(s) || PyImport_AppendInittab("_tidemill", init_module) < 0)
        give_up("the interpreter cannot be prepared");
    s = configure(&config);
    if (!PyStatus_Exception(s))
        s = Py_InitializeFromConfig(&config);
    if (PyStatus_Exception(s))
        give_up(s.err_msg ? s.err_msg : "the interpreter does not start");
    PyConfig_Clear(&config);
    guest = PyImport_ImportModule("tidemill._guest");
    FuelExhausted = guest ? PyObject_GetAttrString(guest, "FuelExhausted") : NULL;
    PyObject *prepared = FuelExhausted ? PyObject_CallMethod(guest, "prepare", NULL) : NULL;
    if (!prepared)
        give_up("the package tidemill cannot be imported");
    Py_DECREF(prepared);
    engine_reserve();
}

/* ---- exports ---- */

static uint64_t result(const void *p, uint32_t n) { return n ? (uint64_t)(uintptr_t)p << 32 | n : 0; }

/* reply calls a function of tidemill._guest that answers bytes, or None for nothing. */
static uint64_t reply(const char *function, const void *p, uint32_t n)
{
    fault_cell = (Cell){.item = TM_ITEM_NONE};
    Py_CLEAR(answer);
    watch_begin(NULL, 1);
    answer = p ? PyObject_CallMethod(guest, function, "y#", (const char *)p, (Py_ssize_t)n) : PyObject_CallMethod(guest, function, NULL);
    watch_end();
    if (!answer)
        give_up(function);
    if (answer == Py_None)
        return 0;
    return result(PyBytes_AS_STRING(answer), (uint32_t)PyBytes_GET_SIZE(answer));
}

/* load_carried loads the code that the module carries, once, and answers the error of it. */
static uint64_t load_carried(void)
{
    if (loaded || tidemill_code.len == 0)
        return 0;
    loaded = true;
    return reply("load", tidemill_code.archive, tidemill_code.len);
}

EXPORT(tidemill_abi_1) void tidemill_abi_1(void) {}

EXPORT(tidemill_load) uint64_t tidemill_load(const uint8_t *p, uint32_t n) { return reply("load", p, n); }

/* A description cannot be an error: that of code which does not load is written to standard error, and ends the instance. */
EXPORT(tidemill_describe) uint64_t tidemill_describe(void)
{
    if (load_carried()) {
        Py_XDECREF(PyObject_CallMethod(guest, "complain", "O", answer));
        give_up("the operator's code does not load");
    }
    return reply("describe", NULL, 0);
}

EXPORT(tidemill_open) uint64_t tidemill_open(const uint8_t *p, uint32_t n)
{
    uint64_t failed = load_carried();
    return failed ? failed : reply("open", p, n);
}

EXPORT(tidemill_reserve) void *tidemill_reserve(uint32_t n)
{
    static void *buffer;
    free(buffer);
    return buffer = aligned_alloc(TM_BUFFER_ALIGN, ((size_t)n + TM_BUFFER_ALIGN - 1) & ~(size_t)(TM_BUFFER_ALIGN - 1));
}

EXPORT(tidemill_process) uint64_t tidemill_process(const uint8_t *p, uint32_t n)
{
    if (!engine)
        give_up("a frame of a slot that was not opened");
    uint32_t len;
    const uint8_t *a = engine_process(engine, p, n, &len);
    return result(a, len);
}
