use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tempfile::TempDir;

struct RunFolder {
    path: PathBuf,
    // Lives as long as the test process; the end of its standard input tells it that this has ended.
    _remover: Child,
}

/// The folder below which everything of this test process lies.
///
/// Statics are never dropped, so a child waits for the test process to end, however it ends, and removes the folder then.
pub fn run_folder() -> &'static Path {
    static FOLDER: OnceLock<RunFolder> = OnceLock::new();
    &FOLDER.get_or_init(create).path
}

/// A new folder below [`run_folder`], gone when dropped. `purpose` begins its name.
pub fn temporary_folder(purpose: &str) -> TempDir {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Lower case and counted: some clients make an image's name of a path.
    let name = format!("{purpose}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let builder = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in(run_folder());
    builder.expect("a folder can be made in the run's folder")
}

fn create() -> RunFolder {
    let path = std::env::temp_dir().join(format!("longshore-tests-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("the run's folder can be made");
    // PostgreSQL runs as another user and must be able to reach its data.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("the run's folder is ours");
    // What a container or a snapshot has mounted in there goes first, or removing would reach through the mount.
    let script = r#"cat >/dev/null
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  grep -o " $1/[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
  rm -rf "$1" && [ ! -e "$1" ] && exit 0
  sleep 0.5
done"#;
    let remover = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C at the terminal is for the tests; this has to outlive them.
        .process_group(0)
        .spawn()
        .expect("sh runs");
    RunFolder { path, _remover: remover }
}
