/* Float outputs on the kept samples, and distances from them. */
#include "quant/meter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "opt/opt.h"

/* The value whose error counts for graph output v. */
static const oct_value *target_of(const oct_value *v)
{
    const oct_node *p = v->producer;
    if (p && (p->op == OCT_OP_SOFTMAX || p->op == OCT_OP_LOG_SOFTMAX) && p->inputs[0]->producer)
        return p->inputs[0];
    return v;
}

static bool same_shapes(const oct_calibrator *cal, const oct_kept *a, const oct_kept *b)
{
    for (int64_t i = 0; i < cal->model->graph->input_count; i++)
        if (memcmp(a->inputs[i].dims, b->inputs[i].dims, sizeof a->inputs[i].dims) != 0)
            return false;
    return true;
}

void oct_meter_mark(const oct_meter *m, oct_graph *g)
{
    for (int i = 0; i < m->count; i++) {
        oct_value *v = oct_value_find(g, m->names[i]);
        if (v)
            v->is_output = true;
    }
}

static oct_status find_targets(oct_meter *m)
{
    const oct_graph *g = m->cal->model->graph;
    m->names = calloc((size_t)g->output_count + 1, sizeof *m->names);
    m->size = calloc((size_t)g->output_count + 1, sizeof *m->size);
    m->energy = calloc((size_t)g->output_count + 1, sizeof *m->energy);
    if (!m->names || !m->size || !m->energy)
        return oct_fail(OCT_ERR_MEMORY, "cannot allocate a meter");
    for (int64_t i = 0; i < g->output_count; i++)
        if (g->outputs[i]->dtype == OCT_F32 && g->outputs[i]->producer)
            m->names[m->count++] = target_of(g->outputs[i])->name;
    return OCT_OK;
}

/* The values of all targets after a run, into x. */
static oct_status read_all(const oct_meter *m, const oct_probe *p, float *x)
{
    for (int i = 0; i < m->count; i++) {
        OCT_TRY(oct_probe_read(p, m->names[i], x, m->size[i]));
        x += m->size[i];
    }
    return OCT_OK;
}

static oct_status run_float(oct_meter *m, oct_probe *p)
{
    for (int i = 0; i < m->count; i++) {
        OCT_TRY(oct_probe_size(p, m->names[i], &m->size[i]));
        m->total += m->size[i];
    }
    m->want = calloc((size_t)(m->total * m->samples) + 1, sizeof *m->want);
    m->got = calloc((size_t)m->total + 1, sizeof *m->got);
    if (!m->want || !m->got)
        return oct_fail(OCT_ERR_MEMORY, "cannot keep the outputs of %d samples", m->samples);
    for (int s = 0; s < m->samples; s++) {
        float *y = m->want + s * m->total;
        OCT_TRY(oct_probe_set_sample(p, &m->cal->kept[s]));
        OCT_TRY(oct_probe_run(p));
        OCT_TRY(read_all(m, p, y));
        for (int i = 0; i < m->count; y += m->size[i++])
            for (int64_t k = 0; k < m->size[i]; k++)
                m->energy[i] += (double)y[k] * (double)y[k];
    }
    return OCT_OK;
}

oct_status oct_meter_open(const oct_calibrator *cal, int samples, oct_meter *out)
{
    oct_status s = OCT_OK;
    oct_meter m = {.cal = cal};
    oct_probe p = {0};
    oct_graph *g = NULL, *given;
    while (m.samples < cal->kept_count && m.samples < samples && same_shapes(cal, &cal->kept[0], &cal->kept[m.samples]))
        m.samples++;
    OCT_TRY_DONE(find_targets(&m));
    OCT_TRY_DONE(oct_graph_clone(cal->model->graph, &g));
    oct_meter_mark(&m, g);
    given = g;
    g = NULL;
    OCT_TRY_DONE(oct_probe_open(cal, given, OCT_OPT_EXPORT | OCT_OPT_FUSE, &cal->kept[0], &p));
    OCT_TRY_DONE(run_float(&m, &p));
    *out = m;
    m = (oct_meter){0};
done:
    oct_graph_destroy(g);
    oct_probe_close(&p);
    oct_meter_close(&m);
    return s;
}

void oct_meter_close(oct_meter *m)
{
    free(m->names);
    free(m->size);
    free(m->energy);
    free(m->want);
    free(m->got);
    memset(m, 0, sizeof *m);
}

oct_status oct_meter_add(oct_meter *m, const oct_probe *p, int i, double *error)
{
    const float *got = m->got, *want = m->want + i * m->total;
    OCT_TRY(read_all(m, p, m->got));
    for (int t = 0; t < m->count; t++) {
        double sum = 0;
        for (int64_t k = 0; k < m->size[t]; k++) {
            double d = (double)got[k] - (double)want[k];
            sum += d * d;
        }
        got += m->size[t];
        want += m->size[t];
        *error += isfinite(sum) && m->energy[t] > 0 ? sum / (m->energy[t] * m->count) : sum > 0 || sum != sum ? INFINITY : 0;
    }
    return OCT_OK;
}
