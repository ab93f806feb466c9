/* The plan: what the builder makes, the file holds and the runtime walks.  DESIGN 5.5, 5.9.
 *
 * A plan is one block of bytes with offsets and no pointers: header, tensors, indices, steps, params, strings, constants. Loading
 * checks every offset, index and enum once (plan/check.c); afterwards the runtime trusts it. The draft is its growing form. */
#ifndef OCT_PLAN_PLAN_H
#define OCT_PLAN_PLAN_H

#include <octavo/engine.h>
#include "base/file.h"
#include "base/mem.h"
#include "cpu/cpu.h"
#include "plan/params.h"

#define OCT_PLAN_MAGIC "OCTPLAN1" /* 8 bytes at the start of the file */
#define OCT_PLAN_VERSION 2

typedef enum oct_step_kind {
    OCT_STEP_NONE = 0,
#define OCT_STEP_DEF(id, ...) OCT_STEP_##id,
#include "plan/steps.inc"
#undef OCT_STEP_DEF
    OCT_STEP_COUNT
} oct_step_kind;

typedef enum oct_precision { OCT_PREC_NONE, OCT_PREC_INT8, OCT_PREC_FLOAT, OCT_PREC_INTEGER, OCT_PREC_CONVERT } oct_precision;
typedef enum oct_place { OCT_PLACE_ARENA, OCT_PLACE_CONST, OCT_PLACE_INPUT } oct_place;

/* A tensor is a view: logical dims in ONNX order, strides in elements. Views of one memory share root. */
typedef struct oct_plan_tensor {
    uint32_t name;            /* string: the source model's tensor, "" for intermediate ones */
    uint8_t place, dtype;     /* physical dtype; logical s8 codes are stored as u8 + 128 */
    uint8_t rank, biased;     /* biased: logical dtype is s8 */
    int32_t root;             /* index of the tensor that owns the memory (itself when it does) */
    int32_t port;             /* INPUT: index of the model input; else -1 */
    int64_t dims[OCT_MAX_RANK], strides[OCT_MAX_RANK];
    int64_t offset;           /* bytes from the start of the arena / constant section; of views: absolute too (builder resolves) */
    int64_t bytes;            /* roots: size of the memory; views: 0 */
    float scale;              /* of 8-bit codes, per tensor; 0 = not codes */
    int32_t zero;             /* stored form */
} oct_plan_tensor;

/* A UNARY step from x to y that quantizes its result. */
static inline bool oct_unary_to_codes(const oct_plan_tensor *x, const oct_plan_tensor *y) { return x->dtype == OCT_F32 && y->dtype == OCT_U8; }

typedef struct oct_plan_step {
    uint16_t kind, precision;
    uint32_t name, op, sources, tactic, reason; /* strings; sources joined by '\n'; tactic = kernel row name or "" */
    uint32_t in_first, in_count, out_first, out_count; /* into the index section */
    uint64_t params;          /* offset into the params section, 8-byte aligned */
    uint32_t params_size, unused;
    int64_t macs;
    int64_t scratch;          /* arena offset of step scratch, -1 = none */
    int64_t scratch_bytes;    /* shared by all workers */
    int64_t worker_bytes;     /* private to each worker; rt reserves worker_bytes * threads */
} oct_plan_step;

typedef struct oct_plan_port {
    uint32_t name;
    int32_t tensor;           /* plan tensor: dense, plain order */
    uint32_t dtype, rank;     /* logical */
    int64_t dims[OCT_MAX_RANK];
    float scale;              /* of 8-bit codes with one scale: real = (code - zero) * scale; 0 = no such codes */
    int32_t zero;             /* of the logical dtype */
} oct_plan_port;

#define OCT_PROFILE_MAX_INPUTS 1024

/* The shapes that a plan serves: one row an input, in their order, or no rows. Axes with the same symbol have the same length. */
typedef struct oct_plan_profile {
    int64_t min[OCT_MAX_RANK], opt[OCT_MAX_RANK], max[OCT_MAX_RANK]; /* opt is the shape of this block */
    int32_t symbol[OCT_MAX_RANK]; /* -1 = fixed: min = max */
} oct_plan_profile;

typedef struct oct_plan_meta { uint32_t key, value; } oct_plan_meta;

typedef struct oct_plan_section { uint64_t offset, size, hash; } oct_plan_section;
enum { OCT_SEC_TENSORS, OCT_SEC_INDEX, OCT_SEC_STEPS, OCT_SEC_PARAMS, OCT_SEC_INPUTS, OCT_SEC_OUTPUTS, OCT_SEC_TAPS, OCT_SEC_META,
       OCT_SEC_STRINGS, OCT_SEC_CONST,
       OCT_SEC_RECIPE,        /* what the plan was made of, for other shapes, weights and ranges (build/recipe_file.c); may be empty */
       OCT_SEC_PROFILE,       /* oct_plan_profile rows */
       OCT_SEC_SHAPES,        /* plan blocks for other shapes of the profile, one behind the other: none of the three, and no constants: theirs are the outer plan's */
       OCT_SEC_COUNT };

typedef struct oct_plan_header {
    char magic[8];
    uint32_t version, isa;
    uint64_t kernels;         /* oct_kernel_list_hash of the builder */
    uint64_t total;           /* bytes of the whole block */
    int64_t arena_bytes;
    oct_plan_section section[OCT_SEC_COUNT];
    uint64_t hash;            /* XXH64 of the header with this field 0 */
} oct_plan_header;

/* The object behind the public handle: typed pointers into the block. */
struct oct_plan {
    const oct_plan_header *header;
    const oct_plan_tensor *tensors;
    int32_t tensor_count;
    const int32_t *index;
    const oct_plan_step *steps;
    int32_t step_count;
    const uint8_t *params;
    const oct_plan_port *inputs, *outputs, *taps; /* taps: port.tensor is any view */
    int32_t input_count, output_count, tap_count;
    const oct_plan_meta *meta;
    int32_t meta_count;
    const char *strings;
    const uint8_t *constants; /* of a plan in `shapes`: the outer plan's */
    int64_t constant_size;
    const uint8_t *recipe;
    int64_t recipe_size;      /* 0 = none */
    const oct_plan_profile *profile; /* input_count rows, or NULL */
    oct_plan *shapes;         /* plans inside this one's block; they own nothing */
    int32_t shape_count;
    void *owned;              /* block from oct_alloc, or NULL when mapped */
    oct_map map;
};

static inline const char *oct_plan_string(const oct_plan *p, uint32_t at) { return p->strings + at; }

/* --- the draft --- */
typedef struct oct_draft_step {
    oct_plan_step step;       /* string and params fields are filled at finish from the fields below */
    const char *name, *op, *sources, *tactic, *reason; /* borrowed from the draft's arena */
    int32_t *in, *out;
    void *params;
} oct_draft_step;

typedef struct oct_draft {
    oct_arena *arena;
    oct_plan_tensor *tensors;
    const char **tensor_names;
    int64_t tensor_count, tensor_capacity;
    oct_draft_step *steps;
    int64_t step_count, step_capacity;
    uint8_t *constants;
    int64_t const_size, const_capacity;
    oct_plan_port *ports[3];  /* inputs, outputs, taps; name field = index into port_names */
    const char **port_names[3];
    int64_t port_count[3], port_capacity[3];
    const char **meta;        /* key, value, key, value */
    int64_t meta_count, meta_capacity;
    int64_t arena_bytes;
    oct_isa isa;
} oct_draft;

enum { OCT_PORT_INPUT, OCT_PORT_OUTPUT, OCT_PORT_TAP };

oct_status oct_draft_create(oct_isa isa, oct_draft **out);
void oct_draft_destroy(oct_draft *d);
oct_status oct_draft_tensor(oct_draft *d, const char *name, const oct_plan_tensor *t, int32_t *id); /* root -1 = itself */
/* Bytes into the constant section at a 64-byte aligned offset. Equal contents may share. */
oct_status oct_draft_const(oct_draft *d, const void *data, int64_t size, int64_t *at);
/* Reserve without contents; *at, and a pointer valid until the next call. */
oct_status oct_draft_const_reserve(oct_draft *d, int64_t size, int64_t *at, uint8_t **data);
oct_status oct_draft_step_add(oct_draft *d, oct_step_kind kind, oct_precision precision, const char *name, const char *op, const char *sources,
                              const char *tactic, const char *reason, int n_in, const int32_t *in, int n_out, const int32_t *out,
                              const void *params, size_t params_size, oct_draft_step **step);
oct_status oct_draft_port(oct_draft *d, int which, const char *name, int32_t tensor, oct_dtype dtype, int rank, const int64_t *dims);
oct_status oct_draft_meta(oct_draft *d, const char *key, const char *value);
/* Serialise and check. The draft stays owned by the caller. */
oct_status oct_draft_finish(const oct_draft *d, oct_plan **out);

/* --- blocks and files --- */
/* Takes over `owned` (from oct_alloc) on success; CONTENT naming `name` when anything is wrong. */
oct_status oct_plan_from_block(void *owned, int64_t size, const char *name, oct_plan **out);
/* CONTENT, naming both levels, when the plan was built for a CPU level that is not in force here. */
oct_status oct_plan_runs_here(const oct_plan *p);
/* One block of a plan, a recipe (size 0 = none), a profile (NULL = none) and plans for other shapes of it; all are copied. */
oct_status oct_plan_compose(const oct_plan *plan, const void *recipe, int64_t recipe_size, const oct_plan_profile *profile, const oct_plan *const *shapes,
                            int shape_count, oct_plan **out);
/* Inputs and outputs of the same names, types and ranks: one plan can stand in for the other at another shape. */
bool oct_plan_same_ports(const oct_plan *a, const oct_plan *b);
bool oct_plan_has_dims(const oct_plan *p, const int64_t (*dims)[OCT_MAX_RANK]); /* are these the dims of its inputs? */
const oct_plan_port *oct_plan_find_port(const oct_plan *p, const char *name);   /* input, output or tap; NULL */
void oct_plan_describe_port(const oct_plan *p, const oct_plan_port *port, oct_port *out);
size_t oct_step_params_size(oct_step_kind kind);
/* Bytes that a step reads, writes and takes from the plan's constants (packed weights, constant operands), each counted once. */
typedef struct oct_step_bytes { int64_t in, out, weights; } oct_step_bytes;
oct_step_bytes oct_step_traffic(const oct_plan *p, const oct_plan_step *s);
const char *oct_step_kind_name(oct_step_kind kind);
const char *oct_precision_name(oct_precision p);

#endif
