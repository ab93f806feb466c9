/* States of observers, and the texts of preprocessing and augmentation: the first byte picks. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const uint8_t kind = data[0] % 3;
    data++, size--;
    if (kind == 0) {
        oct_observer *o = NULL;
        oct_grid grid;
        if (oct_observer_load(data, size, &o) != OCT_OK)
            return 0;
        for (int solver = 0; solver < 5; solver++)
            if (oct_observer_solve(o, &(oct_quant_options){.solver = (oct_solver)solver}, 8, &grid) == OCT_OK && !(grid.scale > 0))
                abort();
        oct_observer_destroy(o);
        return 0;
    }
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    oct_preprocess p;
    oct_augment a;
    char *out;
    oct_preprocess_default(&p);
    if (kind == 1 && oct_preprocess_parse(&p, text) == OCT_OK && oct_preprocess_format(&p, &out) == OCT_OK)
        oct_string_free(out);
    if (kind == 2)
        (void)!oct_augment_parse(text, &a);
    free(text);
    return 0;
}
