// TLS. What Swift cannot import are the macros below. Header only.
#pragma once
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/// SSL_CTX_set_min_proto_version, a macro.
static inline long keelson_ssl_set_minimum_version(SSL_CTX *context, int version) {
  return SSL_CTX_set_min_proto_version(context, version);
}

/// SSL_CTX_set_mode for writes that may be repeated from another address: SSL_write is given what is left, wherever it lies.
static inline long keelson_ssl_set_write_modes(SSL_CTX *context) {
  return SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

/// SSL_set_tlsext_host_name, a macro: the name the client asks for (SNI).
static inline long keelson_ssl_set_server_name(SSL *session, const char *name) {
  return SSL_set_tlsext_host_name(session, name);
}

/// BIO_pending, a macro: bytes that wait in a memory BIO.
static inline long keelson_bio_pending(BIO *bio) { return BIO_pending(bio); }
