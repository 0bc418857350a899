# The program that measures simledger beside others: `bench`. Systems whose libraries are not installed are left
# out. `make bench` runs it; as a test it only shows that everything runs.
enable_language(CXX)

# The SQLite that the crate bundles, compiled for the others with what SQLite's own documentation recommends and
# without what the crate adds.
execute_process(
    COMMAND ${CARGO_EXECUTABLE} metadata --format-version 1 --locked
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE metadata ERROR_QUIET)
string(REGEX MATCH "\"manifest_path\":\"([^\"]*/libsqlite3-sys-[^\"]*)/Cargo.toml\"" found "${metadata}")
set(bench_sqlite_dir ${CMAKE_MATCH_1}/sqlite3)
add_library(bench_sqlite OBJECT ${bench_sqlite_dir}/sqlite3.c)
target_include_directories(bench_sqlite SYSTEM PUBLIC ${bench_sqlite_dir})
target_compile_definitions(bench_sqlite PRIVATE
    SQLITE_THREADSAFE=2 SQLITE_DEFAULT_MEMSTATUS=0 SQLITE_DQS=0 SQLITE_OMIT_DEPRECATED
    SQLITE_OMIT_SHARED_CACHE SQLITE_LIKE_DOESNT_MATCH_BLOBS SQLITE_MAX_EXPR_DEPTH=0
    SQLITE_ENABLE_COLUMN_METADATA) # the last is SQLiteCpp's

file(GLOB bench_sources CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/benches/*.cpp
    ${PROJECT_SOURCE_DIR}/benches/works/*.cpp
    ${PROJECT_SOURCE_DIR}/benches/systems/*.cpp)
add_executable(bench ${bench_sources} $<TARGET_OBJECTS:bench_sqlite>)
set_target_properties(bench PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin
    CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
target_compile_options(bench PRIVATE -O2 -Wall -Wextra -Werror)
target_include_directories(bench SYSTEM PRIVATE ${bench_sqlite_dir})

# bench_optional(<name> <header> <library>): a system that may be missing. The archive where there is one:
# SQLiteCpp's shared library would bring another SQLite.
function(bench_optional name header library)
    string(TOUPPER BENCH_${name} definition)
    find_path(${definition}_INCLUDE ${header})
    find_library(${definition}_LIBRARY NAMES lib${library}.a ${library})
    if(${definition}_INCLUDE AND ${definition}_LIBRARY)
        target_compile_definitions(bench PRIVATE ${definition})
        target_link_libraries(bench PRIVATE ${${definition}_LIBRARY})
    else()
        set_source_files_properties(${PROJECT_SOURCE_DIR}/benches/systems/${name}.cpp PROPERTIES
            HEADER_FILE_ONLY ON)
    endif()
endfunction()
bench_optional(sqlitecpp SQLiteCpp/SQLiteCpp.h SQLiteCpp)
bench_optional(lmdb lmdb.h lmdb)
bench_optional(rocksdb rocksdb/c.h librocksdb.so)
target_link_libraries(bench PRIVATE simledger::static Threads::Threads ${CMAKE_DL_LIBS})

simledger_test(bench/tiny bench --tiny --systems "simledger,SQLite")
