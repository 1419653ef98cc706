#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include <microbatch/sqlite/storage.hpp>

namespace microbatch::inline v0_1::sqlite {

/// A prepared statement, borrowed from its connection for one run; reset at the end.
class Query {
 public:
  Query(sqlite3_stmt* statement, const std::string& path) : statement_(statement), path_(path) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query() { reset(); }

  Query& bind(std::int64_t value);
  Query& bind(std::string_view text);   // text; must live until the run
  Query& blob(std::string_view bytes);  // must live until the run
  Query& bind_null();
  Query& value(const Value& value);

  /// True: a row.
  bool step();
  void run() {
    while (step()) {
    }
  }
  void reset() noexcept;

  [[nodiscard]] std::int64_t number(int column) const;
  [[nodiscard]] std::string_view bytes(int column) const;
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] Value value_at(int column) const;

 private:
  void check(int code) const;

  sqlite3_stmt* statement_;
  const std::string& path_;
  int next_ = 1;
};

/// One SQLite connection with its prepared statements. Threads: one at a time.
class Connection {
 public:
  Connection(const std::string& path, const FileOptions& options, bool read_only);

  /// One of ours; a literal.
  Query query(const char* sql);
  /// One of ours that was put together.
  Query prepared(const std::string& sql);
  void execute(const char* sql);
  /// A user's statement; StatementError where it is refused.
  void run(const Transaction::Statement& statement);

  [[nodiscard]] std::int64_t changes() const noexcept { return sqlite3_changes64(handle_.get()); }
  [[nodiscard]] std::int64_t last_row() const noexcept {
    return sqlite3_last_insert_rowid(handle_.get());
  }
  [[nodiscard]] bool in_transaction() const noexcept {
    return sqlite3_get_autocommit(handle_.get()) == 0;
  }
  void set_sync(bool full);
  /// Copies the log back whenever a commit leaves it so many pages long. Where that fails to sync,
  /// the commit says so, although it stands; SQLite's own checkpoints would say nothing.
  void checkpoint_beyond(int pages);
  /// What LogFile opens.
  [[nodiscard]] sqlite3* handle() const noexcept { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  Query query(Statement& statement, const char* sql);
  static int checkpoint(void* self, sqlite3* handle, const char* database, int pages);
  static int authorize(void* self, int action, const char* a, const char* b, const char* database,
                       const char* trigger);

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
  std::unordered_map<const char*, Statement> ours_;  // by the literal's address
  std::unordered_map<std::string, Statement> prepared_;
  std::unordered_map<std::string, Statement> theirs_;
  bool preparing_theirs_ = false;
  int sync_ = -1;
  int most_pages_ = 0;
};

/// A connection's write-ahead log, opened once more, to sync it beside the connection: a system
/// tells a failed write once to each open file, so that neither of the two takes it from the other.
///
/// Threads: one at a time, whatever the connection does meanwhile.
class LogFile {
 public:
  explicit LogFile(const Connection& connection);
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile();

  /// SQLite's code.
  [[nodiscard]] int sync() noexcept;

 private:
  [[nodiscard]] sqlite3_file* file() noexcept {
    return reinterpret_cast<sqlite3_file*>(memory_.get());
  }

  std::unique_ptr<std::max_align_t[]> memory_;  // as large as the VFS wants its files
};

/// What an SQLite error means for us. Names the file and the cause.
[[noreturn]] void throw_storage_error(const std::string& path, sqlite3* handle, int code);

}  // namespace microbatch::inline v0_1::sqlite
