/* evidence_format.h: the first line of an evidence file. */
#ifndef NODE_EVIDENCE_FORMAT_H
#define NODE_EVIDENCE_FORMAT_H

#define EVIDENCE_HEAD "huren evidence v1\n"
enum { EVIDENCE_HEAD_BYTES = sizeof EVIDENCE_HEAD - 1 };

#endif
