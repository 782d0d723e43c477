/*
 * A disk that remembers what it was asked to do: recording-disk DIRECTORY IMAGE LOG
 *
 * Mounts itself on DIRECTORY over /dev/fuse and serves two files there. `disk` has the bytes of IMAGE; a loop device on it
 * is a drive whose every write and flush passes through here. `mark` takes lines of text. Everything is handled by one
 * thread, so LOG has writes (W), flushes (F) and marks (M) in the one order in which they happened: a mark that stands
 * before a place in the log had been made when the power failed there.
 *
 * A record is 16 bytes, then the data of a W or M: kind (1 byte), 3 bytes of zero, length (u32) and offset (u64),
 * little-endian. Says `ready` when it is mounted, ends with status 0 when it is unmounted. Linux only; knows no more of
 * FUSE than a loop device and a writer of lines need.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOT = FUSE_ROOT_ID, DISK = 2, MARK = 3 };
#define PAGES_MAX 256
#define WRITE_BYTES_MAX (PAGES_MAX * 4096)
#define REQUEST_BYTES_MAX (WRITE_BYTES_MAX + 65536)
#define VALID_SECONDS 3600

static int device, image, logfile;
static uint64_t disk_bytes, mark_bytes;
static char request[REQUEST_BYTES_MAX];
static char data[REQUEST_BYTES_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "recording-disk: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void record(char kind, uint64_t offset, const void *bytes, uint32_t length)
{
	struct {
		char kind, zero[3];
		uint32_t length;
		uint64_t offset;
	} head = { kind, { 0 }, length, offset };
	struct iovec parts[] = { { &head, sizeof head }, { (void *)bytes, length } };
	if (writev(logfile, parts, 2) != (ssize_t)(sizeof head + length))
		fail("the log");
}

static void reply(uint64_t unique, int error, const void *body, size_t length)
{
	struct fuse_out_header head = { sizeof head + length, -error, unique };
	struct iovec parts[] = { { &head, sizeof head }, { (void *)body, length } };
	/* ENOENT: whoever asked has given up meanwhile. */
	if (writev(device, parts, 2) < 0 && errno != ENOENT && errno != ENODEV)
		fail("an answer");
}

static struct fuse_attr attributes(uint64_t node)
{
	struct fuse_attr attr = { .ino = node, .nlink = 1, .blksize = 4096 };
	attr.mode = node == ROOT ? S_IFDIR | 0700 : S_IFREG | 0600;
	attr.size = node == DISK ? disk_bytes : node == MARK ? mark_bytes : 0;
	attr.blocks = attr.size / 512;
	return attr;
}

static void init(uint64_t unique, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = in->max_readahead,
		.flags = in->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_DIO | FUSE_ASYNC_READ),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = WRITE_BYTES_MAX,
		.max_pages = PAGES_MAX,
	};
	reply(unique, 0, &out, sizeof out);
}

static void lookup(uint64_t unique, const char *name)
{
	struct fuse_entry_out out = { .entry_valid = VALID_SECONDS };
	out.nodeid = strcmp(name, "disk") == 0 ? DISK : strcmp(name, "mark") == 0 ? MARK : 0;
	if (out.nodeid == 0) {
		reply(unique, ENOENT, NULL, 0);
		return;
	}
	out.attr = attributes(out.nodeid);
	reply(unique, 0, &out, sizeof out);
}

static void read_disk(uint64_t unique, uint64_t node, const struct fuse_read_in *in)
{
	ssize_t got = 0;
	if (node == DISK && in->size <= sizeof data)
		got = pread(image, data, in->size, (off_t)in->offset);
	if (got < 0)
		reply(unique, errno, NULL, 0);
	else
		reply(unique, 0, data, (size_t)got);
}

static void write_file(uint64_t unique, uint64_t node, const struct fuse_write_in *in, const char *bytes)
{
	struct fuse_write_out out = { .size = in->size };
	if (node == DISK) {
		record('W', in->offset, bytes, in->size);
		if (pwrite(image, bytes, in->size, (off_t)in->offset) != (ssize_t)in->size) {
			reply(unique, errno, NULL, 0);
			return;
		}
	} else {
		record('M', mark_bytes, bytes, in->size);
		mark_bytes += in->size;
	}
	reply(unique, 0, &out, sizeof out);
}

static void serve(const struct fuse_in_header *in, const char *body)
{
	struct fuse_attr_out attr = { .attr_valid = 0 };
	struct fuse_open_out opened = { .fh = in->nodeid };
	switch (in->opcode) {
	case FUSE_INIT:
		init(in->unique, (const void *)body);
		return;
	case FUSE_LOOKUP:
		lookup(in->unique, body);
		return;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		attr.attr = attributes(in->nodeid);
		reply(in->unique, 0, &attr, sizeof attr);
		return;
	case FUSE_OPEN:
		/* Nothing of a mark may wait in a cache. */
		opened.open_flags = in->nodeid == MARK ? FOPEN_DIRECT_IO : 0;
		reply(in->unique, 0, &opened, sizeof opened);
		return;
	case FUSE_READ:
		read_disk(in->unique, in->nodeid, (const void *)body);
		return;
	case FUSE_WRITE:
		write_file(in->unique, in->nodeid, (const void *)body, body + sizeof(struct fuse_write_in));
		return;
	case FUSE_FSYNC:
		if (in->nodeid == DISK)
			record('F', 0, NULL, 0);
		reply(in->unique, 0, NULL, 0);
		return;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_DESTROY:
		reply(in->unique, 0, NULL, 0);
		return;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return; /* wants no answer */
	default:
		reply(in->unique, ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	char options[128];
	struct stat stats;
	if (argc != 4) {
		fprintf(stderr, "usage: recording-disk DIRECTORY IMAGE LOG\n");
		return 64;
	}
	image = open(argv[2], O_RDWR | O_CLOEXEC);
	if (image < 0 || fstat(image, &stats) != 0)
		fail(argv[2]);
	disk_bytes = (uint64_t)stats.st_size;
	logfile = open(argv[3], O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (logfile < 0)
		fail(argv[3]);
	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (device < 0)
		fail("/dev/fuse");
	snprintf(options, sizeof options, "fd=%d,rootmode=40700,user_id=0,group_id=0,allow_other", device);
	if (mount("recording-disk", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0)
		fail("mount");
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t got = read(device, request, sizeof request);
		if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		if (got < 0 && errno == ENODEV)
			return 0; /* unmounted */
		if (got < (ssize_t)sizeof(struct fuse_in_header))
			fail("a request");
		serve((const void *)request, request + sizeof(struct fuse_in_header));
	}
}
