/* Decimals: between decimal.Decimal and the 128 bits of a column.
 *
 * They go through the text of the Decimal, which is exact, and which the user's decimal context has no say in; that the
 * interpreter's decimals are libmpdec's is nobody's business here. */
#include "tidemill.h"

typedef unsigned __int128 Wide;

#define DIGITS_MAX 38

static PyTypeObject *decimal_class;
static Wide powers[DIGITS_MAX]; /* of ten */

/* decimal_init makes the class Decimal known to this file. */
int decimal_init(void)
{
    powers[0] = 1;
    for (int i = 1; i < DIGITS_MAX; i++)
        powers[i] = 10 * powers[i - 1];
    PyObject *module = PyImport_ImportModule("decimal");
    decimal_class = module ? (PyTypeObject *)PyObject_GetAttrString(module, "Decimal") : NULL;
    Py_XDECREF(module);
    return decimal_class ? 0 : -1;
}

bool decimal_check(PyObject *value) { return PyObject_TypeCheck(value, decimal_class); }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Mantissa is what stands before the exponent in the text of a Decimal. */
typedef struct {
    const char *begin, *end;
    int64_t digits, behind; /* all, and those behind the point */
    int64_t exponent;
} Mantissa;

/* EXPONENT_MAX is beyond what any column takes; larger exponents are as good as it. */
#define EXPONENT_MAX (INT64_C(1) << 40)

static Mantissa mantissa_of(const char *s)
{
    Mantissa m = {.begin = s};
    bool point = false;
    for (; is_digit(*s) || *s == '.'; s++) {
        point |= *s == '.';
        m.digits += *s != '.';
        m.behind += point && *s != '.';
    }
    m.end = s;
    if (*s != 'E' && *s != 'e')
        return m;
    bool negative = *++s == '-';
    for (s += *s == '-' || *s == '+'; is_digit(*s); s++)
        if (m.exponent < EXPONENT_MAX)
            m.exponent = 10 * m.exponent + (*s - '0');
    m.exponent = negative ? -m.exponent : m.exponent;
    return m;
}

/* push appends a digit to a number that has to be less than ten times a bound; it says whether it still is. */
static bool push(Wide *v, char digit, Wide bound)
{
    if (*v >= bound)
        return false;
    *v = 10 * *v + (Wide)(digit - '0');
    return true;
}

/* parse reads the text of a Decimal; it says whether it is a number of at most so many digits, scale of them behind the
 * point. */
static bool parse(const char *s, int digits, int scale, Decimal *to)
{
    bool negative = *s == '-';
    Mantissa m = mantissa_of(s + negative);
    if (m.digits == 0) /* NaN, Infinity */
        return false;
    int64_t keep = m.digits - m.behind + m.exponent + scale; /* so many digits, zeros behind them included, are the number */
    Wide v = 0, bound = powers[digits - 1];
    for (s = m.begin; s < m.end; s++) {
        if (*s == '.')
            continue;
        if (keep-- > 0 ? !push(&v, *s, bound) : *s != '0')
            return false;
    }
    for (; v > 0 && keep > 0; keep--)
        if (!push(&v, '0', bound))
            return false;
    if (negative)
        v = -v;
    *to = (Decimal){(uint64_t)v, (int64_t)(v >> 64)};
    return true;
}

/* decimal_set is a Decimal as a number without its point. It says 1 where the Decimal has not as many digits. */
int decimal_set(PyObject *value, int digits, int scale, Decimal *to)
{
    PyObject *text = decimal_class->tp_str(value);
    const char *s = text ? PyUnicode_AsUTF8(text) : NULL;
    int r = !s ? -1 : parse(s, digits, scale, to) ? 0 : 1;
    Py_XDECREF(text);
    return r;
}

/* put_digits writes the decimal digits of a number before an address, with zeros up to a least count of them. */
static char *put_digits(char *to, uint64_t n, int least)
{
    for (; n > 0 || least > 0; n /= 10, least--)
        *--to = (char)('0' + n % 10);
    return to;
}

#define HALF (DIGITS_MAX / 2) /* so many digits fit into 64 bits */

/* decimal_get is the Decimal of a number without its point, of which scale digits stand behind it. */
PyObject *decimal_get(Decimal d, int scale)
{
    char text[sizeof "-0." + DIGITS_MAX], *end = text + sizeof text, *begin;
    bool negative = d.high < 0;
    Wide v = (Wide)(uint64_t)d.high << 64 | d.low;
    if (negative)
        v = -v;
    uint64_t upper = v >= powers[HALF] ? (uint64_t)(v / powers[HALF]) : 0, lower = (uint64_t)(v - upper * powers[HALF]);
    begin = put_digits(end, lower, upper ? HALF : scale + 1);
    if (upper)
        begin = put_digits(begin, upper, scale + 1 - HALF);
    if (scale > 0) {
        begin--;
        memmove(begin, begin + 1, (size_t)(end - scale - begin - 1));
        end[-scale - 1] = '.';
    }
    if (negative)
        *--begin = '-';
    PyObject *string = PyUnicode_FromStringAndSize(begin, end - begin);
    PyObject *made = string ? PyObject_CallOneArg((PyObject *)decimal_class, string) : NULL;
    Py_XDECREF(string);
    return made;
}
