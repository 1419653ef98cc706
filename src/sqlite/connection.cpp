#include "connection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <microbatch/sqlite/table.hpp>

namespace microbatch::inline v0_1::sqlite {

namespace {

const char* advice(int code) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return " (another program holds a lock)";
    case SQLITE_FULL:
      return " (no space left)";
    case SQLITE_READONLY:
      return " (the file or its folder may not be written)";
    case SQLITE_NOTADB:
      return " (another kind of file, or damaged)";
    case SQLITE_CORRUPT:
      return " (damaged)";
    default:
      return "";
  }
}

bool failed_to_sync(int code) {
  return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
}

bool may_pass(int code) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
      return true;
    case SQLITE_IOERR:
      return !failed_to_sync(code);
    default:
      return false;
  }
}

bool ours(const char* table) {
  return table != nullptr && std::strncmp(table, "microbatch_", 11) == 0;
}

constexpr std::string_view changed_meanwhile = "microbatch: changed meanwhile";  // see table.cpp

}  // namespace

void throw_storage_error(const std::string& path, sqlite3* handle, int code) {
  const char* text = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
  if (failed_to_sync(code))
    throw StorageError(fmt::format("{}: fsync failed: what was being written is unknown, and "
                                   "nothing more is written until the file is opened again",
                                   path),
                       false);
  const int system = handle != nullptr ? sqlite3_system_errno(handle) : 0;
  const bool tell_system =
      system != 0 && ((code & 0xFF) == SQLITE_IOERR || (code & 0xFF) == SQLITE_CANTOPEN);
  throw StorageError(fmt::format("{}: {}{}{}", path, text, advice(code),
                                 tell_system ? fmt::format(": {}", std::strerror(system)) : ""),
                     may_pass(code));
}

void Query::check(int code) const {
  if (code != SQLITE_OK) throw_storage_error(path_, sqlite3_db_handle(statement_), code);
}
Query& Query::bind(std::int64_t value) {
  check(sqlite3_bind_int64(statement_, next_++, value));
  return *this;
}
Query& Query::bind(std::string_view text) {
  check(sqlite3_bind_text64(statement_, next_++, text.data() != nullptr ? text.data() : "",
                            text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}
Query& Query::blob(std::string_view bytes) {
  check(sqlite3_bind_blob64(statement_, next_++, bytes.data() != nullptr ? bytes.data() : "",
                            bytes.size(), SQLITE_STATIC));
  return *this;
}
Query& Query::bind_null() {
  check(sqlite3_bind_null(statement_, next_++));
  return *this;
}
Query& Query::value(const Value& value) {
  return std::visit(
      [&](const auto& v) -> Query& {
        using V = std::remove_cvref_t<decltype(v)>;
        if constexpr (std::same_as<V, std::monostate>) {
          return bind_null();
        } else if constexpr (std::same_as<V, double>) {
          check(sqlite3_bind_double(statement_, next_++, v));
          return *this;
        } else if constexpr (std::same_as<V, std::int64_t>) {
          return bind(v);
        } else if constexpr (std::same_as<V, std::string>) {
          return bind(std::string_view(v));
        } else {
          return blob({reinterpret_cast<const char*>(v.data()), v.size()});
        }
      },
      value);
}
bool Query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw_storage_error(path_, sqlite3_db_handle(statement_), code);
}
void Query::reset() noexcept {
  sqlite3_reset(statement_);
  next_ = 1;
}
std::int64_t Query::number(int column) const { return sqlite3_column_int64(statement_, column); }
std::string_view Query::bytes(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}
bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Value Query::value_at(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER:
      return number(column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement_, column);
    case SQLITE_TEXT:
      return std::string(bytes(column));
    case SQLITE_NULL:
      return std::monostate{};
    default: {
      const auto* begin = reinterpret_cast<const std::byte*>(bytes(column).data());
      return std::vector<std::byte>(begin, begin + bytes(column).size());
    }
  }
}

Connection::Connection(const std::string& path, const FileOptions& options, bool read_only)
    : path_(path) {
  sqlite3* opened = nullptr;
  const int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_READWRITE;
  const int code = sqlite3_open_v2(path.c_str(), &opened, flags,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  handle_.reset(opened);
  if (code != SQLITE_OK) throw_storage_error(path_, opened, code);
  sqlite3_busy_timeout(
      opened,
      static_cast<int>(
          std::chrono::duration_cast<std::chrono::milliseconds>(options.busy_timeout).count()));
  sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_set_authorizer(opened, &Connection::authorize, this);
  execute("PRAGMA cell_size_check = ON");
  execute("PRAGMA secure_delete = OFF");  // freed pages need not be written again
  if (read_only) execute("PRAGMA query_only = ON");
}

int Connection::authorize(void* self, int action, const char* a, const char* b, const char*,
                          const char* trigger) {
  if (!static_cast<Connection*>(self)->preparing_theirs_) return SQLITE_OK;
  if (ours(trigger)) return SQLITE_OK;  // what a table's own triggers do is ours
  switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_ATTACH:
    case SQLITE_DETACH:
    case SQLITE_PRAGMA:
      return SQLITE_DENY;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_INDEX:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_DROP_TRIGGER:
      return ours(a) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_ALTER_TABLE:
      return ours(b) ? SQLITE_DENY : SQLITE_OK;
    default:
      return SQLITE_OK;
  }
}

Query Connection::query(const char* sql) { return query(ours_[sql], sql); }
Query Connection::prepared(const std::string& sql) { return query(prepared_[sql], sql.c_str()); }

Query Connection::query(Statement& statement, const char* sql) {
  if (!statement) {
    sqlite3_stmt* prepared = nullptr;
    const int code =
        sqlite3_prepare_v3(handle_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    statement.reset(prepared);
    if (code != SQLITE_OK) throw_storage_error(path_, handle_.get(), code);
  }
  return {statement.get(), path_};
}

void Connection::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw_storage_error(path_, handle_.get(), code);
}

void Connection::run(const Transaction::Statement& wanted) {
  const auto refused = [&](const std::string& why) {
    return StatementError(fmt::format("{}: {}, in: {}", path_, why, wanted.sql));
  };
  constexpr std::size_t most = 128;
  if (theirs_.size() >= most && !theirs_.contains(wanted.sql)) theirs_.clear();
  Statement& statement = theirs_[wanted.sql];
  if (!statement) {
    sqlite3_stmt* prepared = nullptr;
    const char* rest = nullptr;
    preparing_theirs_ = true;
    const int code = sqlite3_prepare_v3(handle_.get(), wanted.sql.data(),
                                        static_cast<int>(wanted.sql.size()) + 1,
                                        SQLITE_PREPARE_PERSISTENT, &prepared, &rest);
    preparing_theirs_ = false;
    statement.reset(prepared);
    if (code != SQLITE_OK) throw refused(sqlite3_errmsg(handle_.get()));
    if (prepared == nullptr) throw refused("no statement");
    if (std::string_view(rest).find_first_not_of(" \t\r\n;") != std::string_view::npos) {
      statement.reset();
      throw refused("more than one statement");
    }
  }
  const auto expected = static_cast<std::size_t>(sqlite3_bind_parameter_count(statement.get()));
  if (wanted.arguments.size() != expected)
    throw refused(fmt::format("{} arguments, expected {}", wanted.arguments.size(), expected));
  Query query(statement.get(), path_);
  for (const Value& value : wanted.arguments) query.value(value);
  int code = SQLITE_ROW;
  while (code == SQLITE_ROW) code = sqlite3_step(statement.get());
  if (code == SQLITE_DONE) return;
  if (code == SQLITE_CONSTRAINT_TRIGGER &&
      std::string_view(sqlite3_errmsg(handle_.get())) == changed_meanwhile)
    throw TableChanged(fmt::format("{}: a key was changed meanwhile, in: {}", path_, wanted.sql));
  switch (code & 0xFF) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
    case SQLITE_AUTH:
    case SQLITE_SCHEMA:
      throw refused(sqlite3_errmsg(handle_.get()));
    default:
      throw_storage_error(path_, handle_.get(), code);
  }
}

void Connection::set_sync(bool full) {
  if (sync_ == static_cast<int>(full)) return;
  execute(full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  sync_ = static_cast<int>(full);
}

void Connection::checkpoint_beyond(int pages) {
  most_pages_ = pages;
  sqlite3_wal_hook(handle_.get(), &Connection::checkpoint, this);
}

int Connection::checkpoint(void* self, sqlite3* handle, const char* database, int pages) {
  if (pages < static_cast<Connection*>(self)->most_pages_) return SQLITE_OK;
  const int code =
      sqlite3_wal_checkpoint_v2(handle, database, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  // After any other error the next commit tries again.
  return failed_to_sync(code) ? code : SQLITE_OK;
}

LogFile::LogFile(const Connection& connection) {
  sqlite3* const handle = connection.handle();
  sqlite3_vfs* vfs = nullptr;
  sqlite3_file_control(handle, "main", SQLITE_FCNTL_VFS_POINTER, &vfs);
  const char* const path = sqlite3_db_filename(handle, "main");
  const auto size = static_cast<std::size_t>(vfs->szOsFile);
  memory_ = std::make_unique<std::max_align_t[]>(size / sizeof(std::max_align_t) + 1);
  const int code = vfs->xOpen(vfs, sqlite3_filename_wal(path), file(),
                              SQLITE_OPEN_READWRITE | SQLITE_OPEN_WAL, nullptr);
  if (code != SQLITE_OK) {
    if (file()->pMethods != nullptr) file()->pMethods->xClose(file());
    throw_storage_error(path, nullptr, code);
  }
}

LogFile::~LogFile() { file()->pMethods->xClose(file()); }

int LogFile::sync() noexcept { return file()->pMethods->xSync(file(), SQLITE_SYNC_NORMAL); }

}  // namespace microbatch::inline v0_1::sqlite
