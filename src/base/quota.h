/* The share of the CPUs that a control group leaves to this process. */
#ifndef OCT_BASE_QUOTA_H
#define OCT_BASE_QUOTA_H

/* Whole cores of the tightest CPU quota of this process's control groups (version 2 and 1), rounded up; 0 = none is known. root goes in front of
 * /proc and /sys: "" but for tests. Source: the Linux kernel's Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst. */
int oct_cpu_quota(const char *root);

#endif
