# microbatch::mongodb: a source and a sink for collections of MongoDB.
find_package(mongoc-1.0 1.17 QUIET)
set(links mongo::mongoc_shared)
set(needs "libmongoc 1.17 or newer")
set(debian_packages libmongoc-dev)
set(pkg_config_modules libmongoc-1.0)
