/* Reading the frames of the host and building answers: the guest's half of the codec in abi/frame. */
#include "tidemill.h"

/* frame_read reads header, section table and context. The frame must stay as it is while it and its sections are used. */
int frame_read(Frame *f, const uint8_t *data, uint32_t len)
{
    if (len < TM_HEADER_SIZE || memcmp(data, TM_MAGIC, 4) != 0 || load16(data + 4) != TM_VERSION || load32(data + 8) > len)
        return -1;
    memset(f, 0, sizeof *f);
    f->kind = load16(data + 6);
    f->sequence = load64(data + 16);
    f->port = TM_NO_PORT;
    uint32_t sections = load32(data + 12);
    for (const uint8_t *entry = data + TM_HEADER_SIZE; sections > 0; sections--, entry += TM_SECTION_ENTRY_SIZE) {
        Section s = {data, data + load32(entry + 8)};
        uint16_t index = load16(entry + 2);
        switch (load16(entry)) {
        case TM_SECTION_CONTEXT:
            f->watermark = (int64_t)load64(s.head);
            f->processing_time = (int64_t)load64(s.head + 8);
            f->seed = load64(s.head + 16);
            f->port = load16(s.head + 24);
            break;
        case TM_SECTION_BATCH:
            f->batch = s;
            break;
        case TM_SECTION_KEYS:
            f->keys = s;
            break;
        case TM_SECTION_TIMERS:
            f->timers = s;
            break;
        case TM_SECTION_STATE:
            if (index < TM_STATES_MAX)
                f->states[index] = s;
            break;
        }
    }
    return 0;
}

/* frame_items is the number of rows or timers of the frame. */
uint32_t frame_items(const Frame *f)
{
    if (f->kind == TM_KIND_BATCH)
        return load32(f->batch.head);
    if (f->kind == TM_KIND_TIMERS)
        return load32(f->timers.head);
    return 0;
}

static const void *node_buffer(const uint8_t *base, const uint8_t *span)
{
    return load32(span + 4) ? base + load32(span) : NULL;
}

static Column column_at(const uint8_t *base, const uint8_t *node)
{
    return (Column){
        .type = load16(node),
        .rows = load32(node + 4),
        .validity = load32(node + 8) ? node_buffer(base, node + 16) : NULL,
        .offsets = node_buffer(base, node + 24),
        .values = node_buffer(base, node + 32),
        .base = base,
        .element = load32(node + 12) ? node + TM_NODE_SIZE : NULL,
    };
}

/* section_columns reads the nodes that follow a head, whose columns may be fewer: the elements of a list have one too. */
void section_columns(Section s, uint32_t head_size, uint32_t nodes, Column *to)
{
    const uint8_t *node = s.head + head_size, *end = node + nodes * TM_NODE_SIZE;
    for (; node < end; node += TM_NODE_SIZE, to++) {
        *to = column_at(s.base, node);
        if (to->element)
            node += TM_NODE_SIZE;
    }
}

/* column_elements is the column of the elements of a column of lists. */
Column column_elements(const Column *c) { return column_at(c->base, c->element); }

int grow(void *array, uint32_t *capacity, uint32_t n, size_t size)
{
    if (n <= *capacity)
        return 0;
    uint32_t to = *capacity < 32 ? 64 : 2 * *capacity;
    if (to < n)
        to = n;
    void *moved = to <= UINT32_MAX / 2 / size ? PyMem_Realloc(*(void **)array, to * size) : NULL;
    if (!moved) {
        PyErr_NoMemory();
        return -1;
    }
    *(void **)array = moved;
    *capacity = to;
    return 0;
}

static uint32_t padded(uint32_t n) { return (n + TM_BUFFER_ALIGN - 1) & ~(uint32_t)(TM_BUFFER_ALIGN - 1); }

#define BUILDER_BYTES_MIN (64u << 10)

/* extend adds n bytes, padded with zeros to the alignment of a buffer, and returns where they begin. The n bytes hold
 * whatever was there. Without memory it returns 0 and all that follows writes nothing. */
static uint32_t extend(Builder *b, uint32_t n)
{
    uint32_t at = b->used;
    if (b->failed || n > INT32_MAX - at - TM_BUFFER_ALIGN) {
        b->failed = true;
        return 0;
    }
    uint32_t end = padded(at + n);
    if (end > b->capacity) {
        uint32_t to = 2 * b->capacity < BUILDER_BYTES_MIN ? BUILDER_BYTES_MIN : 2 * b->capacity;
        to = to < end ? end : to;
        uint8_t *moved = aligned_alloc(TM_BUFFER_ALIGN, padded(to));
        if (!moved) {
            b->failed = true;
            return 0;
        }
        memcpy(moved, b->buffer, at);
        free(b->buffer);
        b->buffer = moved;
        b->capacity = padded(to);
    }
    b->used = end;
    memset(b->buffer + at + n, 0, end - at - n);
    return at;
}

void builder_put16(Builder *b, uint32_t at, uint16_t v)
{
    if (!b->failed)
        memcpy(b->buffer + at, &v, sizeof v);
}

void builder_put32(Builder *b, uint32_t at, uint32_t v)
{
    if (!b->failed)
        memcpy(b->buffer + at, &v, sizeof v);
}

void builder_put64(Builder *b, uint32_t at, uint64_t v)
{
    if (!b->failed)
        memcpy(b->buffer + at, &v, sizeof v);
}

static void reset(Builder *b)
{
    b->used = b->entries = b->spans_used = 0;
    b->lent = b->failed = false;
}

/* builder_start begins an answer to the frame with at most sections_max sections. */
void builder_start(Builder *b, const Frame *f, uint32_t sections_max)
{
    reset(b);
    b->frame = f;
    b->sections_max = sections_max;
    uint32_t size = TM_HEADER_SIZE + sections_max * TM_SECTION_ENTRY_SIZE;
    extend(b, size);
    if (b->failed)
        return;
    memset(b->buffer, 0, size);
    memcpy(b->buffer, TM_MAGIC, 4);
    builder_put16(b, 4, TM_VERSION);
    builder_put16(b, 6, (uint16_t)f->kind);
    builder_put64(b, 16, f->sequence);
}

/* builder_open begins a section with a zeroed head and room for its nodes; it returns where the head is. */
uint32_t builder_open(Builder *b, uint16_t id, uint16_t index, uint32_t head, uint32_t nodes)
{
    uint32_t size = head + nodes * TM_NODE_SIZE;
    b->section = extend(b, size);
    if (b->failed)
        return 0;
    memset(b->buffer + b->section, 0, size);
    uint32_t entry = TM_HEADER_SIZE + b->entries++ * TM_SECTION_ENTRY_SIZE;
    builder_put16(b, entry, id);
    builder_put16(b, entry + 2, index);
    builder_put32(b, entry + 8, b->section);
    return b->section;
}

/* builder_close ends the open section. */
void builder_close(Builder *b)
{
    builder_put32(b, TM_HEADER_SIZE + (b->entries - 1) * TM_SECTION_ENTRY_SIZE + 12, b->used - b->section);
}

static int built(Builder *b)
{
    if (!b->failed)
        return 0;
    PyErr_NoMemory();
    return -1;
}

/* builder_finish completes the header. */
int builder_finish(Builder *b)
{
    if (b->lent && !b->failed) {
        builder_put32(b, 28, TM_FLAG_ABSOLUTE);
        for (uint32_t i = 0; i < b->spans_used; i++)
            builder_put32(b, b->spans[i], load32(b->buffer + b->spans[i]) + (uint32_t)(uintptr_t)b->buffer);
    }
    builder_put32(b, 8, b->used);
    builder_put32(b, 12, b->entries);
    return built(b);
}

/* builder_start_block begins a rows block. */
void builder_start_block(Builder *b, uint32_t rows, uint32_t columns)
{
    reset(b);
    uint32_t size = TM_BLOCK_SIZE + columns * TM_NODE_SIZE;
    extend(b, size);
    if (b->failed)
        return;
    memset(b->buffer, 0, size);
    builder_put32(b, 0, rows);
    builder_put32(b, 4, columns);
    builder_put32(b, 8, columns);
}

/* builder_finish_block completes the head of a rows block. */
int builder_finish_block(Builder *b)
{
    builder_put32(b, 12, b->used);
    return built(b);
}

/* builder_array adds an array, writes its offset at field and returns it for filling; it is valid until the next addition.
 * The offset stays 0 for no bytes. Without memory it returns NULL. */
void *builder_array(Builder *b, uint32_t field, uint32_t bytes)
{
    if (bytes == 0)
        return NULL;
    uint32_t at = extend(b, bytes);
    if (b->failed)
        return NULL;
    builder_put32(b, field, at);
    return b->buffer + at;
}

/* builder_buffer adds a column buffer, writes offset and length to the span, and returns it for filling. */
void *builder_buffer(Builder *b, uint32_t span, uint32_t bytes)
{
    void *to = builder_array(b, span, bytes);
    if (!to)
        return NULL;
    builder_put32(b, span + 4, bytes);
    if (grow(&b->spans, &b->spans_capacity, b->spans_used + 1, sizeof *b->spans) < 0) {
        PyErr_Clear(); /* told by builder_finish */
        b->failed = true;
        return NULL;
    }
    b->spans[b->spans_used++] = span;
    return to;
}

/* builder_lend makes memory that stays as it is until the answer has been read a column buffer. It is not copied. */
void builder_lend(Builder *b, uint32_t span, const void *data, uint32_t bytes)
{
    if (bytes == 0)
        return;
    b->lent = true;
    builder_put32(b, span, (uint32_t)(uintptr_t)data);
    builder_put32(b, span + 4, bytes);
}
