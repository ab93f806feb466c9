/* Do the codes of training equal those of the engine?  DESIGN 3.8. */
#ifndef OCT_TRAIN_AGREE_H
#define OCT_TRAIN_AGREE_H

#include "train/qat.h"

typedef struct oct_agreement {
    int64_t codes, differing; /* compared, and those that are not equal */
    double worst;             /* largest difference, in codes */
    const char *worst_tensor; /* borrowed from the oct_agree; NULL while worst is 0 */
} oct_agreement;

/* The model as the tape's values are now, built for the engine. Statistics and scales must not move while it is in use. Errors as
 * in oct_plan_build. */
typedef struct oct_agree oct_agree;
oct_status oct_agree_create(const oct_qat *q, const oct_tape *t, oct_agree **out);
void oct_agree_destroy(oct_agree *a);
/* After a forward of the tape with fixed statistics: the engine on the same inputs. Adds to *sum. */
oct_status oct_agree_add(oct_agree *a, const oct_tape *t, oct_agreement *sum);

#endif
