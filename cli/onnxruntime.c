/* The child reads the model file itself, adds every asked tensor to its outputs, switches all graph optimizations off and runs on
 * the CPU.
 *
 * Both directions carry little-endian 64-bit numbers, and bytes behind their count. To the child: the asked names; then for each
 * run the inputs. From the child: 0 or a status with a message; which names it has; then for each run 0 and the values of those, as
 * float32.  The child needs numpy and onnxruntime, nothing else: outputs are added on the level of the file format (fields 7 and
 * 12, as published). */
#include "onnxruntime.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char script[] =
    "import os, struct, sys\n"
    "i, o = sys.stdin.buffer, os.fdopen(os.dup(1), 'wb')\n"
    "os.dup2(2, 1)\n"
    "def need(n):\n"
    "    b = i.read(n)\n"
    "    if len(b) != n:\n"
    "        sys.exit(0)\n"
    "    return b\n"
    "def num():\n"
    "    return struct.unpack('<q', need(8))[0]\n"
    "def text():\n"
    "    return need(num()).decode('utf-8', 'surrogateescape')\n"
    "def say(*numbers):\n"
    "    o.write(struct.pack('<%dq' % len(numbers), *numbers))\n"
    "def fail(status, what):\n"
    "    b = str(what).encode()[:900]\n"
    "    say(status, len(b))\n"
    "    o.write(b)\n"
    "    o.flush()\n"
    "    sys.exit(0)\n"
    "def varint(b, p):\n"
    "    v = shift = 0\n"
    "    while True:\n"
    "        v |= (b[p] & 127) << shift\n"
    "        shift += 7\n"
    "        p += 1\n"
    "        if b[p - 1] < 128:\n"
    "            return v, p\n"
    "def parts(b, wanted):\n"
    "    p = 0\n"
    "    while p < len(b):\n"
    "        key, p = varint(b, p)\n"
    "        if key & 7 == 0:\n"
    "            n, p = varint(b, p)\n"
    "            continue\n"
    "        if key & 7 == 2:\n"
    "            n, p = varint(b, p)\n"
    "        else:\n"
    "            n = 8 if key & 7 == 1 else 4\n"
    "        if key >> 3 == wanted:\n"
    "            yield b[p:p + n]\n"
    "        p += n\n"
    "def number(v):\n"
    "    r = b''\n"
    "    while v > 127:\n"
    "        r += bytes([v & 127 | 128])\n"
    "        v >>= 7\n"
    "    return r + bytes([v])\n"
    "def field(n, b):\n"
    "    return number(n << 3 | 2) + number(len(b)) + b\n"
    "path, threads = sys.argv[1], int(sys.argv[2])\n"
    "names = [text() for _ in range(num())]\n"
    "try:\n"
    "    import numpy as np\n"
    "    import onnxruntime as ort\n"
    "except ImportError as e:\n"
    "    fail(4, 'ONNX Runtime cannot be imported by %s: %s' % (sys.executable, e))\n"
    "try:\n"
    "    model = open(path, 'rb').read()\n"
    "    made, outputs = set(), set()\n"
    "    for g in parts(memoryview(model), 7):\n"
    "        made.update(bytes(v).decode('utf-8', 'surrogateescape') for n in parts(g, 1) for v in parts(n, 2))\n"
    "        outputs.update(bytes(v).decode('utf-8', 'surrogateescape') for n in parts(g, 12) for v in parts(n, 1))\n"
    "    asked = [n for n in dict.fromkeys(names) if n in made]\n"
    "    more = b''.join(field(12, field(1, n.encode('utf-8', 'surrogateescape'))) for n in asked if n not in outputs)\n"
    "    options = ort.SessionOptions()\n"
    "    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL\n"
    "    options.intra_op_num_threads = threads\n"
    "    options.log_severity_level = 3\n"
    "    options.add_session_config_entry('session.model_external_initializers_file_folder_path', "
    "os.path.dirname(os.path.abspath(path)))\n"
    "    session = ort.InferenceSession(model + field(7, more), options, providers=['CPUExecutionProvider'])\n"
    "except Exception as e:\n"
    "    fail(4, 'ONNX Runtime refuses the model: %s' % e)\n"
    "say(0, *[int(n in made) for n in names])\n"
    "o.flush()\n"
    "while True:\n"
    "    feed = {}\n"
    "    for _ in range(num()):\n"
    "        name, dtype = text(), text()\n"
    "        dims = [num() for _ in range(num())]\n"
    "        feed[name] = np.frombuffer(need(num()), dtype).reshape(dims)\n"
    "    try:\n"
    "        values = dict(zip(asked, session.run(asked, feed)))\n"
    "    except Exception as e:\n"
    "        fail(4, 'ONNX Runtime cannot run the model: %s' % e)\n"
    "    say(0)\n"
    "    for n in names:\n"
    "        if n in made:\n"
    "            a = np.ascontiguousarray(values[n], np.float32)\n"
    "            say(a.size)\n"
    "            o.write(a.tobytes())\n"
    "    o.flush()\n";

/* --- the pipe --- */

static oct_status lost(cli_onnxruntime *r)
{
    snprintf(r->message, sizeof r->message, "the '%s' that runs ONNX Runtime has ended without an answer", r->python);
    return OCT_ERR_UNSUPPORTED;
}

static bool put(cli_onnxruntime *r, const void *bytes, size_t size)
{
    return size == 0 || fwrite(bytes, 1, size, r->to) == size;
}
static bool put_number(cli_onnxruntime *r, int64_t n)
{
    return put(r, &n, sizeof n);
}
static bool put_text(cli_onnxruntime *r, const char *text)
{
    return put_number(r, (int64_t)strlen(text)) && put(r, text, strlen(text));
}
static bool take(cli_onnxruntime *r, void *bytes, size_t size)
{
    return fread(bytes, 1, size, r->from) == size;
}

/* The child's status; its message goes to r. */
static oct_status take_status(cli_onnxruntime *r)
{
    int64_t status, size;
    if (fflush(r->to) != 0 || !take(r, &status, sizeof status))
        return lost(r);
    if (status == 0)
        return OCT_OK;
    if (!take(r, &size, sizeof size) || size < 0 || size >= (int64_t)sizeof r->message || !take(r, r->message, (size_t)size))
        return lost(r);
    r->message[size] = '\0';
    return OCT_ERR_UNSUPPORTED;
}

/* --- the peer --- */

static oct_status peer_open(void *user, const char *const *tensors, int count, bool *has)
{
    cli_onnxruntime *r = user;
    bool sent = put_number(r, count);
    for (int i = 0; sent && i < count; i++)
        sent = put_text(r, tensors[i]);
    oct_status status = sent ? take_status(r) : lost(r);
    r->has = calloc((size_t)count + 1, sizeof *r->has);
    r->count = count;
    if (!r->has)
        return OCT_ERR_MEMORY;
    for (int i = 0; status == OCT_OK && i < count; i++) {
        int64_t known = 0;
        if (!take(r, &known, sizeof known))
            status = lost(r);
        r->has[i] = has[i] = known != 0;
    }
    return status;
}

static oct_status peer_run(void *user, const char *const *names, const oct_tensor *inputs, int count)
{
    cli_onnxruntime *r = user;
    bool sent = put_number(r, count);
    for (int i = 0; sent && i < count; i++) {
        const oct_tensor *t = &inputs[i];
        const int64_t bytes = oct_tensor_count(t) * (int64_t)oct_dtype_size(t->dtype);
        sent = put_text(r, names[i]) && put_text(r, oct_dtype_name(t->dtype)) && put_number(r, t->rank) &&
               put(r, t->dims, sizeof *t->dims * (size_t)t->rank) && put_number(r, bytes) && put(r, t->data, (size_t)bytes);
    }
    r->next = 0;
    return sent ? take_status(r) : lost(r);
}

static oct_status peer_read(void *user, int tensor, float *data, int64_t count)
{
    cli_onnxruntime *r = user;
    int64_t size;
    while (r->next < tensor && !r->has[r->next])
        r->next++;
    if (r->next++ != tensor || !take(r, &size, sizeof size))
        return lost(r);
    if (size != count) {
        snprintf(r->message, sizeof r->message, "ONNX Runtime gives a tensor of %lld elements where Octavo has %lld",
                 (long long)size, (long long)count);
        return OCT_ERR_CONTENT;
    }
    return take(r, data, (size_t)count * sizeof *data) ? OCT_OK : lost(r);
}

/* --- the process --- */

/* in: what the child reads and we write; out: the other way. 0 or an errno. */
static int spawn(cli_onnxruntime *r, const int in[2], const int out[2])
{
    char threads[16];
    posix_spawn_file_actions_t actions;
    snprintf(threads, sizeof threads, "%d", r->threads);
    char *const argv[] = {(char *)r->python, "-c", (char *)script, (char *)r->model, threads, NULL};
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    for (int i = 0; !error && i < 4; i++)
        error = posix_spawn_file_actions_addclose(&actions, i < 2 ? in[i] : out[i - 2]);
    if (!error)
        error = posix_spawnp(&r->process, r->python, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

oct_status cli_onnxruntime_start(cli_onnxruntime *r, oct_compare_peer *peer)
{
    int in[2], out[2];
    if (pipe(in) != 0)
        return OCT_ERR_INTERNAL;
    if (pipe(out) != 0) {
        close(in[0]);
        close(in[1]);
        return OCT_ERR_INTERNAL;
    }
    const int error = spawn(r, in, out);
    close(in[0]);
    close(out[1]);
    if (error) {
        r->process = 0;
        close(in[1]);
        close(out[0]);
        snprintf(r->message, sizeof r->message,
                 "cannot start '%s', which is needed to ask ONNX Runtime: %s; --python names another program", r->python,
                 strerror(error));
        return OCT_ERR_UNSUPPORTED;
    }
    r->to = fdopen(in[1], "wb");
    r->from = fdopen(out[0], "rb");
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN},
              &r->pipe_action); /* a child that has ended is an error, not our end */
    if (!r->to || !r->from)
        return OCT_ERR_MEMORY;
    *peer = (oct_compare_peer){r, peer_open, peer_run, peer_read};
    return OCT_OK;
}

void cli_onnxruntime_stop(cli_onnxruntime *r)
{
    if (!r->process)
        return;
    if (r->to)
        fclose(r->to);
    if (r->from)
        fclose(r->from);
    int status;
    while (waitpid(r->process, &status, 0) < 0 && errno == EINTR)
        continue;
    sigaction(SIGPIPE, &r->pipe_action, NULL);
    free(r->has);
    *r = (cli_onnxruntime){0};
}
