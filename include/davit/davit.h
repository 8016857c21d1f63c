/* davit/davit.h - all of the public API. */
#ifndef DAVIT_DAVIT_H
#define DAVIT_DAVIT_H

#include <davit/artifact.h>
#include <davit/auth.h>
#include <davit/client.h>
#include <davit/common.h>
#include <davit/copy.h>
#include <davit/descriptor.h>
#include <davit/digest.h>
#include <davit/distribution.h>
#include <davit/error.h>
#include <davit/image_config.h>
#include <davit/layer.h>
#include <davit/load.h>
#include <davit/log.h>
#include <davit/manifest.h>
#include <davit/own_stores.h>
#include <davit/platform.h>
#include <davit/progress.h>
#include <davit/pull.h>
#include <davit/push.h>
#include <davit/reference.h>
#include <davit/registry.h>
#include <davit/registry_v1.h>
#include <davit/save.h>
#include <davit/search.h>
#include <davit/service.h>
#include <davit/store.h>
#include <davit/transport.h>
#include <davit/unpack.h>

#endif
