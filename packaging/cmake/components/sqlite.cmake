# microbatch::sqlite: durable streams in SQLite files.
find_package(SQLite3 3.37 QUIET)
set(links SQLite::SQLite3)
set(needs "SQLite 3.37 or newer")
set(debian_packages libsqlite3-dev)
set(pkg_config_modules sqlite3)
