#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <stdexcept>

#include "contender.hpp"

#ifdef HAS_LMDB
#include <lmdb.h>
#endif
#ifdef HAS_ROCKSDB
#include <rocksdb/db.h>
#endif

namespace bench {

namespace {

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

class File {
 public:
  explicit File(const std::string& path) : file_(open(path.c_str(), O_CREAT | O_WRONLY, 0600)) {
    require(file_ >= 0, "open");
  }
  ~File() { close(file_); }
  void put(const std::string& bytes) const {
    require(write(file_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "write");
    require(fdatasync(file_) == 0, "fdatasync");
  }

 private:
  int file_;
};

}  // namespace

double bare_file(const std::string& folder, std::size_t n) {
  const File file(fresh(folder, "bare"));
  const Stopwatch watch;
  std::string bytes;
  for (std::size_t i = 0; i < n; i += group) {
    bytes.clear();
    for (std::size_t k = i; k < i + group; ++k) bytes += item(k);
    file.put(bytes);
  }
  return watch.seconds();
}

double bare_file_one_by_one(const std::string& folder, std::size_t n) {
  const File file(fresh(folder, "bare"));
  const Stopwatch watch;
  for (std::size_t i = 0; i < n; ++i) file.put(item(i));
  return watch.seconds() / static_cast<double>(n) * 1e6;
}

double sqlite_row_per_item(const std::string& folder, std::size_t n) {
  sqlite3* db = nullptr;
  require(sqlite3_open(fresh(folder, "rows.db").c_str(), &db) == SQLITE_OK, "sqlite3_open");
  sqlite3_exec(
      db,
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE items(id INTEGER "
      "PRIMARY KEY, body BLOB)",
      nullptr, nullptr, nullptr);
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(db, "INSERT INTO items(body) VALUES (?)", -1, &insert, nullptr);
  const Stopwatch watch;
  for (std::size_t i = 0; i < n; i += group) {
    sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    for (std::size_t k = i; k < i + group; ++k) {
      const std::string bytes = item(k);
      sqlite3_bind_blob(insert, 1, bytes.data(), static_cast<int>(bytes.size()), SQLITE_STATIC);
      require(sqlite3_step(insert) == SQLITE_DONE, "sqlite3_step");
      sqlite3_reset(insert);
    }
    require(sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK, "COMMIT");
  }
  const double seconds = watch.seconds();
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return seconds;
}

double rocksdb_batches([[maybe_unused]] const std::string& folder, [[maybe_unused]] std::size_t n) {
#ifdef HAS_ROCKSDB
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  require(rocksdb::DB::Open(options, fresh(folder, "rocks"), &opened).ok(), "rocksdb::DB::Open");
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const Stopwatch watch;
  rocksdb::WriteBatch batch;
  for (std::size_t i = 0; i < n; i += group) {
    batch.Clear();
    for (std::size_t k = i; k < i + group; ++k) {
      char key[8];
      for (unsigned b = 0; b < 8; ++b) key[b] = static_cast<char>(k >> (56 - 8 * b));
      batch.Put(rocksdb::Slice(key, sizeof key), item(k));
    }
    require(db->Write(synced, &batch).ok(), "rocksdb::DB::Write");
  }
  return watch.seconds();
#else
  return 0;
#endif
}

double lmdb_batches([[maybe_unused]] const std::string& folder, [[maybe_unused]] std::size_t n) {
#ifdef HAS_LMDB
  const std::string path = fresh(folder, "lmdb");
  std::filesystem::create_directories(path);
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  require(mdb_env_create(&env) == 0, "mdb_env_create");
  mdb_env_set_mapsize(env, std::size_t{8} << 30);
  require(mdb_env_open(env, path.c_str(), 0, 0600) == 0, "mdb_env_open");
  mdb_txn_begin(env, nullptr, 0, &txn);
  mdb_dbi_open(txn, nullptr, MDB_INTEGERKEY | MDB_CREATE, &dbi);
  mdb_txn_commit(txn);
  const Stopwatch watch;
  for (std::size_t i = 0; i < n; i += group) {
    mdb_txn_begin(env, nullptr, 0, &txn);
    for (std::size_t k = i; k < i + group; ++k) {
      std::string bytes = item(k);
      MDB_val key{sizeof k, &k};
      MDB_val value{bytes.size(), bytes.data()};
      require(mdb_put(txn, dbi, &key, &value, MDB_APPEND) == 0, "mdb_put");
    }
    require(mdb_txn_commit(txn) == 0, "mdb_txn_commit");
  }
  const double seconds = watch.seconds();
  mdb_env_close(env);
  return seconds;
#else
  return 0;
#endif
}

}  // namespace bench
