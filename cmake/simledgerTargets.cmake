# The targets simledger::shared and simledger::static, the same in our own build tree (where cargo makes
# the files) and where they are installed. Set before: SIMLEDGER_VERSION, SIMLEDGER_INCLUDE_DIR,
# SIMLEDGER_LIBRARY_DIR.
string(REGEX MATCH "^[0-9]+" SIMLEDGER_VERSION_MAJOR "${SIMLEDGER_VERSION}")

add_library(simledger::shared SHARED IMPORTED GLOBAL)
set_target_properties(simledger::shared PROPERTIES
    IMPORTED_LOCATION ${SIMLEDGER_LIBRARY_DIR}/libsimledger.so.${SIMLEDGER_VERSION}
    IMPORTED_SONAME libsimledger.so.${SIMLEDGER_VERSION_MAJOR}
    INTERFACE_INCLUDE_DIRECTORIES ${SIMLEDGER_INCLUDE_DIR})

# What Rust's standard library and SQLite ask of the system. The compiler driver adds the unwinder itself.
add_library(simledger::static STATIC IMPORTED GLOBAL)
set_target_properties(simledger::static PROPERTIES
    IMPORTED_LOCATION ${SIMLEDGER_LIBRARY_DIR}/libsimledger.a
    INTERFACE_INCLUDE_DIRECTORIES ${SIMLEDGER_INCLUDE_DIR}
    INTERFACE_LINK_LIBRARIES "pthread;dl;m")
