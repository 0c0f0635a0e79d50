// HTTP/2 framing, HPACK and flow control. Header only.
#pragma once
#include <nghttp2/nghttp2.h>
