# What Debian has installed, under the names by which Conan's recipes ask for it: for machines that do not reach Conan's server.
#
#   conan create . --name fmt --version 9.1.0
from conan import ConanFile


class System(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    package_type = "shared-library"

    def package_info(self):
        if self.name == "fmt":
            part = self.cpp_info
            part.set_property("cmake_target_name", "fmt::fmt")
            part.system_libs = ["fmt"]
            part.defines = ["FMT_SHARED"]
        elif self.name == "sqlite3":
            self.cpp_info.set_property("cmake_file_name", "SQLite3")
            part = self.cpp_info.components["sqlite3"]
            part.set_property("cmake_target_name", "SQLite::SQLite3")
            part.system_libs = ["sqlite3"]
        elif self.name == "prometheus-cpp":
            part = self.cpp_info.components["prometheus-cpp-pull"]
            part.set_property("cmake_target_name", "prometheus-cpp::pull")
            part.system_libs = ["prometheus-cpp-pull", "prometheus-cpp-core"]
        elif self.name == "librdkafka":
            self.cpp_info.set_property("cmake_file_name", "RdKafka")
            part = self.cpp_info.components["rdkafka"]
            part.set_property("cmake_target_name", "RdKafka::rdkafka")
            part.system_libs = ["rdkafka"]
        elif self.name == "paho-mqtt-c":
            self.cpp_info.set_property("cmake_file_name", "eclipse-paho-mqtt-c")
            part = self.cpp_info.components["_paho-mqtt-c"]
            part.set_property("cmake_target_name", "eclipse-paho-mqtt-c::paho-mqtt3as-static")  # its name by default
            part.system_libs = ["paho-mqtt3as"]
        else:
            self.cpp_info.set_property("cmake_file_name", "mongoc-1.0")
            part = self.cpp_info.components["mongoc"]
            part.set_property("cmake_target_name", "mongo::mongoc_static")  # its name by default
            part.system_libs = ["mongoc-1.0", "bson-1.0"]
        part.includedirs = part.libdirs = part.bindirs = []
        if self.name == "mongo-c-driver":
            part.includedirs = ["/usr/include/libmongoc-1.0", "/usr/include/libbson-1.0"]
