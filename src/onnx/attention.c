/* Bodies of Attention and RotaryEmbedding (onnx/functions.h). */
#include "onnx/functions.h"

#include <math.h>
#include <string.h>

static oct_status refuse(const oct_node *n, const char *op_type, const char *what)
{
    return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s %s", n->name, op_type, what);
}

/* What the bodies of one node need to know. */
typedef struct heads {
    int64_t q, kv;   /* numbers of heads */
    int64_t size;    /* of a head of Q */
    bool flat;       /* inputs of rank 3: heads side by side in the last axis */
} heads;

static oct_status heads_of(const oct_node *n, const char *op_type, heads *h)
{
    const oct_shape *q = &n->inputs[0]->shape, *k = n->input_count > 2 && n->inputs[1] && n->inputs[2] ? &n->inputs[1]->shape : NULL;
    if (!k || (q->rank != 3 && q->rank != 4) || k->rank != q->rank)
        return refuse(n, op_type, "takes Q, K and V of rank 3 or 4");
    h->flat = q->rank == 3;
    h->q = oct_node_int(n, "q_num_heads", h->flat ? 0 : q->dim[1]);
    h->kv = oct_node_int(n, "kv_num_heads", h->flat ? 0 : k->dim[1]);
    if (h->q < 1 || h->kv < 1 || h->q % h->kv)
        return refuse(n, op_type, "needs q_num_heads to be a multiple of kv_num_heads");
    h->size = h->flat ? q->dim[2] / h->q : q->dim[3];
    return h->size > 0 ? OCT_OK : refuse(n, op_type, "needs a size of a head that is fixed");
}

/* q, k, v: [batch, heads, sequence, size] */
static void add_heads(oct_body *b, const heads *h)
{
    const char names[] = {'q', 'k', 'v'};
    for (int i = 0; i < 3; i++)
        if (h->flat)
            oct_body_add(b, "f%c=Reshape(x%d,[0,0,%lld,-1]); %c=Transpose(f%c){perm=[0,2,1,3]}; ", names[i], i, (long long)(i ? h->kv : h->q), names[i], names[i]);
        else
            oct_body_add(b, "%c=Identity(x%d); ", names[i], i);
}

/* Keys and values with what came before, as outputs too; each repeated for the queries' heads that share it. */
static void add_cache(oct_body *b, const oct_node *n, const heads *h)
{
    const char names[] = {'k', 'v'};
    for (int i = 0; i < 2; i++) {
        const bool out = oct_node_out(n, 1 + i) != NULL;
        oct_body_add(b, "%c%d=", out ? 'y' : names[i], 1 + i);
        if (oct_node_in(n, 4 + i))
            oct_body_add(b, "Concat(x%d,%c){axis=2}; ", 4 + i, names[i]);
        else
            oct_body_add(b, "Identity(%c); ", names[i]);
        oct_body_add(b, "%c9=Identity(%c%d); ", names[i], out ? 'y' : names[i], 1 + i);
        if (h->q != h->kv)
            oct_body_add(b, "a%c=Unsqueeze(%c9,[2]); e%c=Expand(a%c,[1,1,%lld,1,1]); h%c=Shape(q){start=0,end=2}; t%c=Shape(%c9){start=2,end=4}; "
                         "s%c=Concat(h%c,t%c){axis=0}; %c9=Reshape(e%c,s%c); ", names[i], names[i], names[i], names[i], (long long)(h->q / h->kv), names[i], names[i],
                         names[i], names[i], names[i], names[i], names[i], names[i], names[i]);
    }
}

/* o: what is allowed by places alone, true or false; false where nothing is asked. Query i stands at i + offset among the keys. */
static bool add_places(oct_body *b, const oct_node *n)
{
    const bool causal = oct_node_int(n, "is_causal", 0) != 0;
    const int64_t left = oct_node_int(n, "left_window_size", -1), right = oct_node_int(n, "right_window_size", -1);
    if (!causal && left < 0 && right < 0)
        return false;
    oct_body_add(b, "nq=Shape(q){start=2,end=3}; nk=Shape(k9){start=2,end=3}; cq=Squeeze(nq,[0]); ck=Squeeze(nk,[0]); "
                 "rq=Range(0i,cq,1i); rk=Range(0i,ck,1i); iq=Unsqueeze(rq,[1]); ik=Unsqueeze(rk,[0]); ");
    if (oct_node_in(n, 4)) /* behind the cache */
        oct_body_add(b, "pl=Shape(x4){start=2,end=3}; iq=Add(iq,pl); ");
    else if (oct_node_in(n, 6)) /* keys that count, a number for each of the batch: the queries are the last of them */
        oct_body_add(b, "pn=Unsqueeze(x6,[1,2,3]); pd=Sub(pn,nq); iq=Add(iq,pd); ");
    oct_body_add(b, "df=Sub(iq,ik); ok=Equal(df,df); ");
    if (causal)
        oct_body_add(b, "la=GreaterOrEqual(df,0i); ok=And(ok,la); ");
    if (left >= 0)
        oct_body_add(b, "lb=LessOrEqual(df,%lldi); ok=And(ok,lb); ", (long long)left);
    if (right >= 0)
        oct_body_add(b, "lc=GreaterOrEqual(df,%lldi); ok=And(ok,lc); ", -(long long)right);
    return true;
}

/* s becomes s + mask; a mask shorter than the keys shuts out the rest. */
static oct_status add_mask(oct_body *b, const oct_node *n, const char *op_type)
{
    const oct_value *mask = oct_node_in(n, 3);
    if (!mask)
        return OCT_OK;
    if (mask->shape.rank < 1)
        return refuse(n, op_type, "with a mask of unknown rank");
    oct_body_add(b, "mk=Identity(x3); ");
    if (mask->dtype == OCT_BOOL)
        oct_body_add(b, "mk=Where(x3,0,-inf); ");
    const int rank = mask->shape.rank;
    oct_body_add(b, "ml=Shape(x3){start=%d,end=%d}; mt=Shape(k9){start=2,end=3}; mn=Sub(mt,ml); mz=Sub(ml,ml); ", rank - 1, rank);
    oct_body_add(b, "mp=Concat(");
    for (int i = 0; i < 2 * rank - 1; i++)
        if (i < 7)
            oct_body_add(b, "mz,");
    oct_body_add(b, "mn){axis=0}; mk=Pad(mk,mp,-inf); s=Add(s,mk); ");
    return rank <= 4 ? OCT_OK : refuse(n, op_type, "with a mask of more than 4 axes");
}

oct_status oct_body_attention(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    oct_body b = {.text = body};
    heads h = {0};
    OCT_TRY(heads_of(n, op_type, &h));
    const double scale = sqrt(oct_node_attr(n, "scale") ? (double)oct_node_float(n, "scale", 1) : 1 / sqrt((double)h.size));
    const double cap = (double)oct_node_float(n, "softcap", 0);
    const int64_t shown = oct_node_out(n, 3) ? oct_node_int(n, "qk_matmul_output_mode", 0) : -1;
    add_heads(&b, &h);
    add_cache(&b, n, &h);
    oct_body_add(&b, "qs=Mul(q,%.17g); kt=Transpose(k9){perm=[0,1,3,2]}; ks=Mul(kt,%.17g); s=MatMul(qs,ks); ", scale, scale);
    if (shown == 0 || (shown == 1 && cap <= 0))
        oct_body_add(&b, "y3=Identity(s); ");
    if (cap > 0)
        oct_body_add(&b, "cd=Div(s,%.17g); ct=Tanh(cd); s=Mul(ct,%.17g); ", cap, cap);
    if (shown == 1 && cap > 0)
        oct_body_add(&b, "y3=Identity(s); ");
    OCT_TRY(add_mask(&b, n, op_type));
    if (add_places(&b, n))
        oct_body_add(&b, "s=Where(ok,s,-inf); ");
    if (oct_node_in(n, 6))
        oct_body_add(&b, "vn=Shape(k9){start=2,end=3}; vc=Squeeze(vn,[0]); vr=Range(0i,vc,1i); vu=Unsqueeze(x6,[1,2,3]); vl=Less(vr,vu); s=Where(vl,s,-inf); ");
    if (shown == 2)
        oct_body_add(&b, "y3=Identity(s); ");
    /* A row without any key is 0, not 0/0. */
    oct_body_add(&b, "p=Softmax(s){axis=-1}; pe=Equal(p,p); p9=Where(pe,p,0); ");
    if (shown == 3)
        oct_body_add(&b, "y3=Identity(p9); ");
    if (h.flat)
        oct_body_add(&b, "o=MatMul(p9,v9); ot=Transpose(o){perm=[0,2,1,3]}; y0=Reshape(ot,[0,0,-1])");
    else
        oct_body_add(&b, "y0=MatMul(p9,v9)");
    return OCT_OK;
}

oct_status oct_body_rotary(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    oct_body b = {.text = body};
    const oct_shape *x = &n->inputs[0]->shape;
    const bool flat = x->rank == 3, apart = oct_node_int(n, "interleaved", 0) != 0;
    const int64_t count = oct_node_int(n, "num_heads", 0);
    if ((x->rank != 3 && x->rank != 4) || (flat && count < 1))
        return refuse(n, op_type, "takes [batch, heads, sequence, size], or [batch, sequence, all] with num_heads");
    const int64_t size = flat ? x->dim[2] / count : x->dim[3], turned = oct_node_int(n, "rotary_embedding_dim", 0) ? oct_node_int(n, "rotary_embedding_dim", 0) : size;
    if (size < 1 || turned < 2 || turned > size || turned % 2)
        return refuse(n, op_type, "needs an even rotary_embedding_dim within a size of a head that is fixed");
    /* [batch, sequence, heads, size] */
    oct_body_add(&b, flat ? "h=Reshape(x0,[0,0,%lld,-1]); " : "h=Transpose(x0){perm=[0,2,1,3]}; ", (long long)count);
    oct_body_add(&b, "r=Slice(h,[0],[%lld],[3]); ", (long long)turned);
    if (apart)
        oct_body_add(&b, "a=Slice(r,[0],[%lld],[3],[2]); e=Slice(r,[1],[%lld],[3],[2]); ", (long long)turned, (long long)turned);
    else
        oct_body_add(&b, "a=Slice(r,[0],[%lld],[3]); e=Slice(r,[%lld],[%lld],[3]); ", (long long)turned / 2, (long long)turned / 2, (long long)turned);
    const bool placed = oct_node_in(n, 3) != NULL;
    for (int i = 1; i <= 2; i++)
        oct_body_add(&b, placed ? "g%d=Gather(x%d,x3); c%d=Unsqueeze(g%d,[2]); " : "g%d=Identity(x%d); c%d=Unsqueeze(g%d,[2]); ", i, i, i, i);
    oct_body_add(&b, "ca=Mul(c1,a); se=Mul(c2,e); re=Sub(ca,se); sa=Mul(c2,a); ce=Mul(c1,e); im=Add(sa,ce); ");
    if (apart)
        oct_body_add(&b, "ru=Unsqueeze(re,[4]); iu=Unsqueeze(im,[4]); j=Concat(ru,iu){axis=-1}; t=Shape(r); w=Reshape(j,t); ");
    else
        oct_body_add(&b, "w=Concat(re,im){axis=-1}; ");
    if (turned < size)
        oct_body_add(&b, "rest=Slice(h,[%lld],[%lld],[3]); w=Concat(w,rest){axis=-1}; ", (long long)turned, (long long)size);
    oct_body_add(&b, flat ? "y0=Reshape(w,[0,0,-1])" : "y0=Transpose(w){perm=[0,2,1,3]}");
    return OCT_OK;
}
