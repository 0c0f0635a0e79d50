// What Swift cannot import: the SQLITE_TRANSIENT macro, and variadic configuration calls. Header only.
#pragma once
#include <sqlite3.h>

/// sqlite3_bind_blob64 that copies the bytes before it returns. A null pointer with zero bytes binds an empty blob, not NULL.
static inline int keelson_sqlite3_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
  return sqlite3_bind_blob64(statement, index, count == 0 ? "" : bytes, count, SQLITE_TRANSIENT);
}

/// sqlite3_bind_text64 for UTF-8 that copies the bytes before it returns.
static inline int keelson_sqlite3_bind_text(sqlite3_stmt *statement, int index, const char *bytes, sqlite3_uint64 count) {
  return sqlite3_bind_text64(statement, index, bytes, count, SQLITE_TRANSIENT, SQLITE_UTF8);
}
