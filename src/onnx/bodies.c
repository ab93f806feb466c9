/* Bodies that depend on rank or attributes: norms, pools, losses (onnx/functions.h). */
#include "onnx/functions.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void oct_body_add(oct_body *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int room = OCT_BODY_TEXT - b->at, n = vsnprintf(b->text + b->at, (size_t)room, format, args);
    va_end(args);
    b->at += n < 0 ? 0 : n < room ? n : room - 1;
}

void oct_body_add_axes(oct_body *b, int from, int to)
{
    oct_body_add(b, "[");
    for (int i = from; i < to; i++)
        oct_body_add(b, "%s%d", i > from ? "," : "", i);
    oct_body_add(b, "]");
}

static oct_status rank_of(const oct_node *n, const char *op_type, int least, int *rank)
{
    *rank = n->inputs[0]->shape.rank;
    if (*rank < least)
        return oct_fail(OCT_ERR_UNSUPPORTED, "node '%s': operator %s over a tensor of rank %d", n->name, op_type, *rank);
    return OCT_OK;
}

/* d = v less its mean, z = d over the root of its mean square, along axes from ... to - 1. */
static void add_normalise(oct_body *b, const char *v, int from, int to)
{
    oct_body_add(b, "m=ReduceMean(%s,", v);
    oct_body_add_axes(b, from, to);
    oct_body_add(b, "); d=Sub(%s,m); q=Mul(d,d); w=ReduceMean(q,", v);
    oct_body_add_axes(b, from, to);
    oct_body_add(b, "); e=Add(w,$epsilon:1e-5); r=Sqrt(e); z=Div(d,r); ");
}

/* y0 = v times x1 plus x2, both by channel. */
static void add_channel_affine(oct_body *b, const char *v, int rank)
{
    for (int i = 1; i <= 2; i++) {
        oct_body_add(b, "s%d=Unsqueeze(x%d,", i, i);
        oct_body_add_axes(b, 1, rank - 1);
        oct_body_add(b, "); ");
    }
    oct_body_add(b, "t2=Mul(%s,s1); y0=Add(t2,s2)", v);
}

oct_status oct_body_instance_norm(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    oct_body b = {.text = body};
    int rank;
    OCT_TRY(rank_of(n, op_type, 3, &rank));
    add_normalise(&b, "x0", 2, rank);
    add_channel_affine(&b, "z", rank);
    return OCT_OK;
}

/* Scale and bias are per channel since opset 21, per group before. */
oct_status oct_body_group_norm(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    oct_body b = {.text = body};
    int rank;
    OCT_TRY(rank_of(n, op_type, 2, &rank));
    oct_body_add(&b, "g=Reshape(x0,[0,%lld,-1]); t=Shape(x0); ", (long long)oct_node_int(n, "num_groups", 1));
    add_normalise(&b, "g", 2, 3);
    if (opset < 21) {
        oct_body_add(&b, "s1=Unsqueeze(x1,[1]); s2=Unsqueeze(x2,[1]); a=Mul(z,s1); c=Add(a,s2); y0=Reshape(c,t)");
        return OCT_OK;
    }
    oct_body_add(&b, "k=Reshape(z,t); ");
    add_channel_affine(&b, "k", rank);
    return OCT_OK;
}

oct_status oct_body_rms_norm(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    oct_body b = {.text = body};
    int rank;
    OCT_TRY(rank_of(n, op_type, 1, &rank));
    int64_t axis = oct_node_int(n, "axis", -1);
    axis += axis < 0 ? rank : 0;
    oct_body_add(&b, "q=Mul(x0,x0); w=ReduceMean(q,");
    oct_body_add_axes(&b, (int)axis, rank);
    oct_body_add(&b, "); e=Add(w,$epsilon:1e-5); r=Sqrt(e); z=Div(x0,r); y0=Mul(z,x1)");
    return OCT_OK;
}

oct_status oct_body_mean_variance(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    oct_body b = {.text = body}, axes = {.text = (char[OCT_BODY_TEXT]){0}};
    int64_t v[OCT_MAX_RANK] = {0, 2, 3};
    int count = oct_node_ints(n, "axes", v, OCT_MAX_RANK);
    count = count ? count : 3;
    for (int i = 0; i < count; i++)
        oct_body_add(&axes, "%s%lld", i ? "," : "", (long long)v[i]);
    oct_body_add(&b, "m=ReduceMean(x0,[%.200s]); d=Sub(x0,m); q=Mul(d,d); w=ReduceMean(q,[%.200s]); r=Sqrt(w); e=Add(r,1e-9); y0=Div(d,e)", axes.text, axes.text);
    return OCT_OK;
}

/* A row of zeros stays one. */
oct_status oct_body_lp_norm(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    const int64_t axis = oct_node_int(n, "axis", -1), p = oct_node_int(n, "p", 2);
    if (p != 1 && p != 2)
        return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s with p %lld", n->name, op_type, (long long)p);
    snprintf(body, OCT_BODY_TEXT, "%s=ReduceSum(a,[%lld]); %sz=Equal(s,0); w=Where(z,1,s); y0=Div(x0,w)", p == 1 ? "a=Abs(x0); s" : "a=Mul(x0,x0); q",
             (long long)axis, p == 1 ? "" : "s=Sqrt(q); ");
    return OCT_OK;
}

/* The mean of squares over neighbouring channels is an average pool over [N, 1, C, rest]. */
oct_status oct_body_lrn(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    int rank;
    const int64_t size = oct_node_int(n, "size", 1), before = (size - 1) / 2;
    OCT_TRY(rank_of(n, op_type, 3, &rank));
    if (size < 1)
        return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s with size %lld", n->name, op_type, (long long)size);
    snprintf(body, OCT_BODY_TEXT, "q=Mul(x0,x0); f=Reshape(q,[0,0,-1]); u=Unsqueeze(f,[1]); "
             "p=AveragePool(u){kernel_shape=[%lld,1],pads=[%lld,0,%lld,0],count_include_pad=1}; g=Squeeze(p,[1]); t=Shape(x0); h=Reshape(g,t); "
             "a=Mul(h,$alpha:1e-4); b=Add(a,$bias:1); c=Pow(b,$beta:0.75); y0=Div(x0,c)", (long long)size, (long long)before, (long long)(size - 1 - before));
    return OCT_OK;
}

oct_status oct_body_lp_pool(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    int64_t kernel[OCT_MAX_RANK], p = oct_node_int(n, "p", 2);
    const int count = oct_node_ints(n, "kernel_shape", kernel, OCT_MAX_RANK);
    double area = 1;
    for (int i = 0; i < count; i++)
        area *= (double)kernel[i];
    if (p < 1)
        return oct_fail(OCT_ERR_CONTENT, "node '%s': operator %s with p %lld", n->name, op_type, (long long)p);
    snprintf(body, OCT_BODY_TEXT, "a=Abs(x0); q=Pow(a,%lld); m=AveragePool(q){kernel_shape=$,strides=$,pads=$,auto_pad=$,ceil_mode=$,dilations=$,count_include_pad=1}; "
             "s=Mul(m,%.17g); y0=Pow(s,%.17g)", (long long)p, area, 1 / (double)p);
    return OCT_OK;
}

/* SoftmaxCrossEntropyLoss (its second output: the logarithms) and NegativeLogLikelihoodLoss. Weights are by class; an ignored label weighs nothing. */
oct_status oct_body_loss(const oct_node *n, const char *op_type, int64_t opset, char body[OCT_BODY_TEXT])
{
    oct_body b = {.text = body};
    const char *reduction = oct_node_string(n, "reduction", "mean"), *logs = "x0";
    const bool ignores = oct_node_attr(n, "ignore_index") != NULL, weighted = oct_node_in(n, 2) != NULL;
    if (strcmp(op_type, "SoftmaxCrossEntropyLoss") == 0) {
        logs = oct_node_out(n, 1) ? "y1" : "l";
        oct_body_add(&b, "%s=LogSoftmax(x0){axis=1}; ", logs);
    }
    oct_body_add(&b, "t=Cast(x1){to=7}; ");
    if (ignores)
        oct_body_add(&b, "g=Equal(t,%lldi); z=Where(g,0i,t); ", (long long)oct_node_int(n, "ignore_index", 0));
    oct_body_add(&b, "u=Unsqueeze(%s,[1]); p=GatherElements(%s,u){axis=1}; s=Squeeze(p,[1]); v=Neg(s); ", ignores ? "z" : "t", logs);
    if (weighted)
        oct_body_add(&b, "%s=Gather(x2,%s); ", ignores ? "c" : "w", ignores ? "z" : "t");
    if (ignores)
        oct_body_add(&b, "w=Where(g,0,%s); ", weighted ? "c" : "1");
    if (ignores || weighted)
        oct_body_add(&b, "o=Mul(v,w); ");
    const char *losses = ignores || weighted ? "o" : "v";
    if (strcmp(reduction, "none") == 0)
        oct_body_add(&b, "y0=Identity(%s)", losses);
    else if (strcmp(reduction, "sum") == 0)
        oct_body_add(&b, "y0=ReduceSum(%s){keepdims=0}", losses);
    else if (ignores || weighted)
        oct_body_add(&b, "a=ReduceSum(o){keepdims=0}; e=ReduceSum(w){keepdims=0}; y0=Div(a,e)");
    else
        oct_body_add(&b, "y0=ReduceMean(v){keepdims=0}");
    return OCT_OK;
}
