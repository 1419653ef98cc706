#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <microbatch/core/window.hpp>
#include <mutex>
#include <string>
#include <vector>

#include "line.hpp"

namespace lines {

/// One SQLite connection, used by one thread at a time.
///
/// Errors: microbatch::TransientError where trying again may help (another process holds the lock,
/// the disk is full), otherwise std::runtime_error.
class Connection {
 public:
  explicit Connection(const std::string& path);

  void execute(const char* sql);
  [[nodiscard]] std::int64_t number(const char* sql);
  void insert(const Line& line);
  /// Those lines that do parse, in one transaction: all of them or none.
  void insert_together(const microbatch::Window<Line>& window);
  /// The texts of the first rows.
  [[nodiscard]] std::vector<Line> first(std::int64_t rows);

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  [[nodiscard]] Statement prepare(const char* sql);
  void check(int code) const;

  std::string path_;
  std::unique_ptr<sqlite3, Close> database_;
  Statement insert_;
};

/// As many connections to one database as there are workers.
///
/// Threads: any; each call has a connection to itself.
class Database {
 public:
  Database(const std::string& path, std::size_t connections);

  void insert(const microbatch::Window<Line>& window);

 private:
  std::mutex idle_mutex_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::mutex writer_;  // SQLite lets one connection write; ours queue here instead of retrying
};

/// Removes a database and the files that SQLite keeps beside it.
void remove_database(const std::string& path);

}  // namespace lines
