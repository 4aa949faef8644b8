use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The `longshore` binary under test: `LONGSHORE_BIN`, or the one beside the test binary, which cargo puts in the same profile's folder.
pub fn longshore() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let path = std::env::var_os("LONGSHORE_BIN").map_or_else(beside_this, PathBuf::from);
        assert!(
            path.is_file(),
            "there is no longshore binary at {}; build it in the tests' profile first (`make build`), or name one in LONGSHORE_BIN",
            path.display()
        );
        path
    })
}

fn beside_this() -> PathBuf {
    let test = std::env::current_exe().expect("the system knows the test binary's path");
    // <target>/<profile>/deps/it-<hash>
    let profile = test.parent().and_then(Path::parent).expect("a test binary lies two folders deep");
    profile.join("longshore")
}
