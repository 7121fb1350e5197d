/* Answers of WASI that need no host. wasm-ld takes a function of this name for an import of wasi-libc's, so that the module
 * imports only clocks, randomness, waiting, writing to the log and exit. What an operator does not have is answered as the
 * contract has it: no arguments and environment, files EBADF, paths ENOTCAPABLE. Standard input is at its end; standard
 * output and error are terminals, so that lines are not held back. */
#include <stdint.h>
#include <string.h>

enum { SUCCESS = 0, BADF = 8, NOSYS = 52, SPIPE = 70, NOTCAPABLE = 76 };

#define WASI(name) int32_t __imported_wasi_snapshot_preview1_##name
#define CHARACTER_DEVICE 2
#define RIGHT_READ 2
#define RIGHT_WRITE 64
#define FDSTAT_SIZE 24
#define FILESTAT_SIZE 64

static int32_t put_two(uint32_t *a, uint32_t *b)
{
    *a = *b = 0;
    return SUCCESS;
}

WASI(args_get)(uint32_t argv, uint32_t buffer) { return SUCCESS; }
WASI(args_sizes_get)(uint32_t *n, uint32_t *size) { return put_two(n, size); }
WASI(environ_get)(uint32_t environ, uint32_t buffer) { return SUCCESS; }
WASI(environ_sizes_get)(uint32_t *n, uint32_t *size) { return put_two(n, size); }

WASI(clock_res_get)(uint32_t id, uint64_t *ns)
{
    *ns = 1000;
    return SUCCESS;
}

WASI(fd_fdstat_get)(uint32_t fd, uint8_t *stat)
{
    if (fd > 2)
        return BADF;
    memset(stat, 0, FDSTAT_SIZE);
    stat[0] = CHARACTER_DEVICE;
    stat[8] = fd ? RIGHT_WRITE : RIGHT_READ;
    return SUCCESS;
}

WASI(fd_filestat_get)(uint32_t fd, uint8_t *stat)
{
    if (fd > 2)
        return BADF;
    memset(stat, 0, FILESTAT_SIZE);
    stat[16] = CHARACTER_DEVICE;
    return SUCCESS;
}

WASI(fd_read)(uint32_t fd, uint32_t buffers, uint32_t n, uint32_t *size)
{
    *size = 0;
    return fd ? BADF : SUCCESS;
}

WASI(fd_seek)(uint32_t fd, int64_t offset, uint32_t whence, uint32_t at) { return fd > 2 ? BADF : SPIPE; }
WASI(fd_tell)(uint32_t fd, uint32_t at) { return fd > 2 ? BADF : SPIPE; }

WASI(fd_advise)(uint32_t fd, int64_t offset, int64_t len, uint32_t advice) { return BADF; }
WASI(fd_allocate)(uint32_t fd, int64_t offset, int64_t len) { return BADF; }
WASI(fd_close)(uint32_t fd) { return BADF; }
WASI(fd_datasync)(uint32_t fd) { return BADF; }
WASI(fd_fdstat_set_flags)(uint32_t fd, uint32_t flags) { return BADF; }
WASI(fd_fdstat_set_rights)(uint32_t fd, int64_t base, int64_t inheriting) { return BADF; }
WASI(fd_filestat_set_size)(uint32_t fd, int64_t size) { return BADF; }
WASI(fd_filestat_set_times)(uint32_t fd, int64_t accessed, int64_t modified, uint32_t flags) { return BADF; }
WASI(fd_pread)(uint32_t fd, uint32_t buffers, uint32_t n, int64_t offset, uint32_t size) { return BADF; }
WASI(fd_prestat_dir_name)(uint32_t fd, uint32_t path, uint32_t len) { return BADF; }
WASI(fd_prestat_get)(uint32_t fd, uint32_t stat) { return BADF; }
WASI(fd_pwrite)(uint32_t fd, uint32_t buffers, uint32_t n, int64_t offset, uint32_t size) { return BADF; }
WASI(fd_readdir)(uint32_t fd, uint32_t buffer, uint32_t len, int64_t cookie, uint32_t size) { return BADF; }
WASI(fd_renumber)(uint32_t fd, uint32_t to) { return BADF; }
WASI(fd_sync)(uint32_t fd) { return BADF; }

WASI(path_create_directory)(uint32_t fd, uint32_t path, uint32_t len) { return NOTCAPABLE; }
WASI(path_filestat_get)(uint32_t fd, uint32_t flags, uint32_t path, uint32_t len, uint32_t stat) { return NOTCAPABLE; }
WASI(path_filestat_set_times)
(uint32_t fd, uint32_t flags, uint32_t path, uint32_t len, int64_t accessed, int64_t modified, uint32_t which) { return NOTCAPABLE; }
WASI(path_link)
(uint32_t fd, uint32_t flags, uint32_t path, uint32_t len, uint32_t to, uint32_t to_path, uint32_t to_len) { return NOTCAPABLE; }
WASI(path_open)
(uint32_t fd, uint32_t flags, uint32_t path, uint32_t len, uint32_t open, int64_t base, int64_t inheriting, uint32_t fdflags, uint32_t to)
{
    return NOTCAPABLE;
}
WASI(path_readlink)(uint32_t fd, uint32_t path, uint32_t len, uint32_t buffer, uint32_t capacity, uint32_t size) { return NOTCAPABLE; }
WASI(path_remove_directory)(uint32_t fd, uint32_t path, uint32_t len) { return NOTCAPABLE; }
WASI(path_rename)(uint32_t fd, uint32_t path, uint32_t len, uint32_t to, uint32_t to_path, uint32_t to_len) { return NOTCAPABLE; }
WASI(path_symlink)(uint32_t target, uint32_t target_len, uint32_t fd, uint32_t path, uint32_t len) { return NOTCAPABLE; }
WASI(path_unlink_file)(uint32_t fd, uint32_t path, uint32_t len) { return NOTCAPABLE; }

WASI(sched_yield)(void) { return SUCCESS; }

WASI(sock_accept)(uint32_t fd, uint32_t flags, uint32_t to) { return NOSYS; }
WASI(sock_recv)(uint32_t fd, uint32_t buffers, uint32_t n, uint32_t flags, uint32_t size, uint32_t answer) { return NOSYS; }
WASI(sock_send)(uint32_t fd, uint32_t buffers, uint32_t n, uint32_t flags, uint32_t size) { return NOSYS; }
WASI(sock_shutdown)(uint32_t fd, uint32_t how) { return NOSYS; }
