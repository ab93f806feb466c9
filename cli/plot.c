/* A training log as an SVG picture: loss, held-out accuracy, scales. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "curve.h"
#include "output.h"

enum { WIDTH = 910, LEFT = 70, RIGHT = 180, PANEL = 200, GAP = 70, TOP = 40, TICKS = 5, MOST_POINTS = 1000, LINE = 15, LABELS = 8 };

typedef struct panel {
    FILE *f;
    double y;              /* of its upper edge */
    double x0, x1, v0, v1; /* data at the edges */
    double most;           /* the largest value there can be; 0 = none */
} panel;

static double px(const panel *p, double x)
{
    return LEFT + (p->x1 > p->x0 ? (x - p->x0) / (p->x1 - p->x0) : 0.5) * (WIDTH - LEFT - RIGHT);
}
static double py(const panel *p, double v)
{
    return p->y + PANEL - (p->v1 > p->v0 ? (v - p->v0) / (p->v1 - p->v0) : 0.5) * PANEL;
}

/* A step of 1, 2 or 5 times a power of ten that gives about TICKS ticks. */
static double tick_step(double span)
{
    const double raw = span / TICKS, power = pow(10, floor(log10(raw))), part = raw / power;
    return (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10) * power;
}

static void include(double v, double *lo, double *hi)
{
    if (isfinite(v)) {
        *lo = fmin(*lo, v);
        *hi = fmax(*hi, v);
    }
}

static void begin(panel *p, const char *title, const char *axis)
{
    const double margin = p->v1 > p->v0 ? 0.05 * (p->v1 - p->v0) : fabs(p->v1) * 0.05 + 1e-6;
    p->v0 -= margin;
    p->v1 += margin;
    if (p->most > 0)
        p->v1 = fmin(p->v1, p->most + 0.02 * (p->v1 - p->v0));
    fprintf(p->f, "<text x='%d' y='%.1f' class='t'>%s</text>\n", LEFT, p->y - 10, title);
    const double dv = tick_step(p->v1 - p->v0), dx = tick_step(p->x1 > p->x0 ? p->x1 - p->x0 : 1);
    for (double v = ceil(p->v0 / dv) * dv; v <= p->v1; v += dv)
        fprintf(p->f, "<path d='M%d %.1fH%d' class='g'/><text x='%d' y='%.1f' class='v'>%g</text>\n", LEFT, py(p, v), WIDTH - RIGHT,
                LEFT - 8, py(p, v) + 4, fabs(v) < 1e-9 * dv ? 0 : round(v / dv) * dv);
    for (double x = ceil(p->x0 / dx) * dx; x <= p->x1; x += dx)
        fprintf(p->f, "<text x='%.1f' y='%.1f' class='x'>%g</text>\n", px(p, x), p->y + PANEL + 18, x);
    fprintf(p->f, "<text x='%d' y='%.1f' class='x'>%s</text>\n<rect x='%d' y='%.1f' width='%d' height='%d' class='b'/>\n",
            (WIDTH + LEFT - RIGHT) / 2, p->y + PANEL + 36, axis, LEFT, p->y, WIDTH - LEFT - RIGHT, PANEL);
}

static void polyline(const panel *p, const double *x, const double *v, int64_t count, const char *style)
{
    const int64_t every = count / MOST_POINTS + 1;
    fprintf(p->f, "<polyline style='%s' points='", style);
    for (int64_t i = 0; i < count; i += every)
        if (isfinite(v[i]))
            fprintf(p->f, "%.1f,%.1f ", px(p, x[i]), py(p, v[i]));
    fprintf(p->f, "'/>\n");
}

/* A line of the legend beside the panel: row 0 is the upper one. */
static void legend(const panel *p, int row, const char *style, const char *text)
{
    const double y = p->y + 10 + row * LINE, x = WIDTH - RIGHT + 10;
    fprintf(p->f, "<path d='M%.1f %.1fh16' style='%s'/><text x='%.1f' y='%.1f'>%s</text>\n", x, y - 4, style, x + 21, y, text);
}

static void draw_loss(FILE *f, double y, const cli_curve *c, double *x, double *v)
{
    static const char every_step[] = "stroke:#b8cbe4;stroke-width:1", smooth[] = "stroke:#1f5fa8;stroke-width:2",
                      rolled_back[] = "stroke:#d9822b;stroke-width:1;stroke-dasharray:2 3";
    panel p = {.f = f, .y = y, .x0 = 0, .x1 = 1, .v0 = INFINITY, .v1 = -INFINITY};
    const int64_t n = c->step_count;
    const double window = fmax(1, (double)n / 80); /* steps that the smooth line is a mean of, the nearer ones more */
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (double)c->steps[i].step;
        v[i] = c->steps[i].loss;
        include(v[i], &p.v0, &p.v1);
        p.x1 = fmax(p.x1, x[i]);
    }
    if (!(p.v0 <= p.v1))
        p.v0 = p.v1 = 0;
    begin(&p, "loss", "step");
    for (int64_t i = 0; i < c->rollback_count; i++)
        fprintf(f, "<path d='M%.1f %.1fv%d' style='%s'/>\n", px(&p, (double)c->rollbacks[i]), y, PANEL, rolled_back);
    polyline(&p, x, v, n, every_step);
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(v[i])) {
            sum = (1 - 1 / window) * sum + v[i];
            weight = (1 - 1 / window) * weight + 1;
        }
        v[i] = sum / weight;
    }
    polyline(&p, x, v, n, smooth);
    legend(&p, 0, smooth, "smoothed");
    legend(&p, 1, every_step, "each step");
    if (c->rollback_count)
        legend(&p, 2, rolled_back, "gone back");
}

static void draw_accuracy(FILE *f, double y, const cli_curve *c, double *x, double *v)
{
    static const char trained[] = "stroke:#2a7d3b;stroke-width:2", at_start[] = "stroke:#a33;stroke-width:1;stroke-dasharray:5 4";
    panel p = {.f = f, .y = y, .x0 = 0, .x1 = 1, .v0 = INFINITY, .v1 = -INFINITY, .most = 100};
    const int64_t n = c->epoch_count;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (double)c->epochs[i].epoch;
        v[i] = c->epochs[i].val_top1;
        include(v[i], &p.v0, &p.v1);
        p.x1 = fmax(p.x1, x[i]);
    }
    if (!(p.v0 <= p.v1))
        p.v0 = p.v1 = 0;
    begin(&p, "top-1 on held-out data, %", "epoch");
    legend(&p, 0, trained, "trained");
    if (n > 0 && x[0] == 0) { /* a log may begin later */
        polyline(&p, (double[]){p.x0, p.x1}, (double[]){v[0], v[0]}, 2, at_start);
        legend(&p, 1, at_start, c->scale_count ? "start (PTQ)" : "start");
    }
    polyline(&p, x, v, n, trained);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(v[i]))
            fprintf(f, "<circle cx='%.1f' cy='%.1f' r='3' fill='#2a7d3b'/>\n", px(&p, x[i]), py(&p, v[i]));
}

/* Names come from a model: cut to what fits, escaped. */
static void name_of(const char *name, char *out, size_t room)
{
    size_t n = 0;
    for (int shown = 0; *name && shown < 17 && n + 8 < room; name++, shown++)
        n += (size_t)(*name == '<' || *name == '>' || *name == '&'
                          ? snprintf(out + n, room - n, "&#%d;", *name)
                          : snprintf(out + n, room - n, "%c", (unsigned char)*name < ' ' ? '?' : *name));
    while (n > 0 && *name && ((unsigned char)out[n - 1] & 0x80)) /* no half of a character */
        n--;
    snprintf(out + n, room - n, "%s", *name ? "..." : "");
}

static void color_of(const cli_curve *c, int64_t s, char style[64])
{
    const int way = (int)(255 * s / (c->scale_count + 1)); /* dark blue to orange */
    snprintf(style, 64, "stroke:#%02x%02x%02x;stroke-width:1.3", 30 + way * 210 / 255, 40 + way * 110 / 255, 140 - way * 110 / 255);
}

/* The scales that moved most, in the order of their lines' ends. */
static void name_scales(const panel *p, const cli_curve *c)
{
    const double *first = c->epochs[0].scales, *last = c->epochs[c->epoch_count - 1].scales;
    int64_t most[LABELS];
    int count = 0;
    for (int64_t s = 0; s < c->scale_count; s++) {
        const double moved = fabs(log(last[s] / first[s]));
        int at = count;
        while (at > 0 && moved > fabs(log(last[most[at - 1]] / first[most[at - 1]])))
            at--;
        if (!isfinite(moved) || at == LABELS)
            continue;
        count += count < LABELS;
        memmove(&most[at + 1], &most[at], (size_t)(count - at - 1) * sizeof *most);
        most[at] = s;
    }
    for (int row = 0; row < count; row++) {
        char style[64], name[160];
        int upper = row;
        for (int k = row + 1; k < count; k++)
            if (last[most[k]] / first[most[k]] > last[most[upper]] / first[most[upper]])
                upper = k;
        const int64_t s = most[upper];
        most[upper] = most[row];
        color_of(c, s, style);
        name_of(c->scale_names[s], name, sizeof name);
        legend(p, row, style, name);
    }
    if (count < c->scale_count) {
        char text[64];
        snprintf(text, sizeof text, "(of %lld, moved most)", (long long)c->scale_count);
        fprintf(p->f, "<text x='%d' y='%.1f'>%s</text>\n", WIDTH - RIGHT + 10, p->y + 10 + count * LINE, text);
    }
}

static void draw_scales(FILE *f, double y, const cli_curve *c, double *x, double *v)
{
    panel p = {.f = f, .y = y, .x0 = 0, .x1 = 1, .v0 = 1, .v1 = 1};
    const int64_t n = c->epoch_count;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (double)c->epochs[i].epoch;
        p.x1 = fmax(p.x1, x[i]);
        for (int64_t s = 0; s < c->scale_count; s++)
            include(c->epochs[i].scales[s] / c->epochs[0].scales[s], &p.v0, &p.v1);
    }
    begin(&p, "scales of the activations, relative to their start (first layer blue, last orange)", "epoch");
    for (int64_t s = 0; s < c->scale_count; s++) {
        char style[64];
        for (int64_t i = 0; i < n; i++)
            v[i] = c->epochs[i].scales[s] / c->epochs[0].scales[s];
        color_of(c, s, style);
        polyline(&p, x, v, n, style);
    }
    name_scales(&p, c);
}

static void draw(FILE *f, const cli_curve *c, double *x, double *v)
{
    const int panels = c->scale_count > 0 && c->epoch_count > 1 ? 3 : 2, height = TOP + panels * (PANEL + GAP);
    fprintf(
        f,
        "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 %d %d'>\n"
        "<style>text{font:12px sans-serif;fill:#333}.t{font-size:14px;font-weight:bold}.v{text-anchor:end}.x{text-anchor:middle}"
        ".g{stroke:#e6e6e6}.b{fill:none;stroke:#999}polyline,path{fill:none;stroke-linejoin:round}</style>\n<rect width='100%%' "
        "height='100%%' fill='white'/>\n",
        WIDTH, height, WIDTH, height);
    draw_loss(f, TOP, c, x, v);
    draw_accuracy(f, TOP + PANEL + GAP, c, x, v);
    if (panels > 2)
        draw_scales(f, TOP + 2 * (PANEL + GAP), c, x, v);
    fprintf(f, "</svg>\n");
}

int cli_curve_plot(const cli *c, const cli_curve *curve, const char *path)
{
    const size_t room = (size_t)(curve->step_count + curve->epoch_count) + 1;
    double *x = calloc(room, sizeof *x), *v = calloc(room, sizeof *v);
    cli_output out = {0};
    int status = x && v ? cli_output_begin(c, path, &out) : cli_error(c, OCT_ERR_MEMORY, "out of memory");
    if (!status) {
        draw(out.file, curve, x, v);
        status = cli_output_commit(c, &out);
    }
    free(x);
    free(v);
    return status;
}
