#include "database.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>
#include <utility>

namespace lines {

namespace {

bool may_pass(int code) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
      return true;
    default:
      return false;
  }
}

}  // namespace

Connection::Connection(const std::string& path) : path_(path) {
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(opened);
  check(code);
  sqlite3_busy_timeout(opened, 5'000);  // while it is set up; afterwards the consumer retries
  execute("PRAGMA journal_mode = WAL");
  execute(
      "CREATE TABLE IF NOT EXISTS lines (offset INTEGER NOT NULL, characters INTEGER NOT NULL, "
      "words INTEGER NOT NULL, text TEXT NOT NULL)");
  insert_ = prepare("INSERT INTO lines (offset, characters, words, text) VALUES (?, ?, ?, ?)");
  sqlite3_busy_timeout(opened, 0);
}

void Connection::check(int code) const {
  if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
  const std::string text =
      fmt::format("{}: {}", path_, database_ ? sqlite3_errmsg(database_.get()) : "out of memory");
  if (may_pass(code)) throw microbatch::TransientError(text);
  throw std::runtime_error(text);
}

void Connection::execute(const char* sql) {
  check(sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr));
}

Connection::Statement Connection::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr);
  Statement prepared(statement);
  check(code);
  return prepared;
}

std::int64_t Connection::number(const char* sql) {
  const Statement query = prepare(sql);
  check(sqlite3_step(query.get()));
  return sqlite3_column_int64(query.get(), 0);
}

void Connection::insert(const Line& line) {
  sqlite3_stmt* statement = insert_.get();
  check(sqlite3_bind_int64(statement, 1, line.offset));
  check(sqlite3_bind_int64(statement, 2, line.characters));
  check(sqlite3_bind_int64(statement, 3, line.words));
  check(sqlite3_bind_text64(statement, 4, line.text.data(), line.text.size(), SQLITE_STATIC,
                            SQLITE_UTF8));
  const int code = sqlite3_step(statement);
  sqlite3_reset(statement);
  check(code);
}

void Connection::insert_together(const microbatch::Window<Line>& window) {
  execute("BEGIN IMMEDIATE");
  try {
    for (const Line& line : window)
      if (line.error == nullptr) insert(line);
    execute("COMMIT");
  } catch (...) {
    sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

std::vector<Line> Connection::first(std::int64_t rows) {
  const Statement query = prepare("SELECT text FROM lines ORDER BY rowid LIMIT ?");
  check(sqlite3_bind_int64(query.get(), 1, rows));
  std::vector<Line> found;
  while (sqlite3_step(query.get()) == SQLITE_ROW) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(query.get(), 0));
    found.push_back(
        parse(0, {text, static_cast<std::size_t>(sqlite3_column_bytes(query.get(), 0))}));
  }
  return found;
}

Database::Database(const std::string& path, std::size_t connections) {
  for (std::size_t i = 0; i < connections; ++i) idle_.push_back(std::make_unique<Connection>(path));
}

void Database::insert(const microbatch::Window<Line>& window) {
  std::unique_lock idle(idle_mutex_);
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  idle.unlock();

  std::exception_ptr error;
  try {
    const std::lock_guard writing(writer_);
    connection->insert_together(window);
  } catch (...) {
    error = std::current_exception();
  }

  idle.lock();
  idle_.push_back(std::move(connection));
  if (error) std::rethrow_exception(error);
}

void remove_database(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"})
    std::filesystem::remove(path + suffix);
}

}  // namespace lines
