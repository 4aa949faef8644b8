use std::path::PathBuf;

use tempfile::TempDir;

use crate::temporary_folder;

/// A process's wall clock, which can be set while it runs, by libfaketime. What measures spans goes on as it is: a clock that is set does
/// not change how long a second takes. (A time namespace won't do: it has clocks that count from the start, and no wall clock.)
pub struct Clock {
    folder: TempDir,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// One that goes as the machine's does.
    pub fn new() -> Self {
        let clock = Self { folder: temporary_folder("clock") };
        clock.set_ahead(0);
        clock
    }

    /// Sets it so many seconds ahead of the machine's; behind, where that is negative. The process sees it within a second.
    pub fn set_ahead(&self, seconds: i64) {
        // In place of the old one, so that a reader sees either.
        let new = self.folder.path().join("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("the folder is ours");
        std::fs::rename(&new, self.file()).expect("the folder is ours");
    }

    /// What a process has in its environment that goes by it: the library looks into the file once a second, leaves alone what tells spans
    /// and files' times, and keeps nothing in shared memory, which a killed process would leave behind.
    pub(crate) fn environment(&self) -> [String; 6] {
        [
            format!("LD_PRELOAD={}", library().display()),
            format!("FAKETIME_TIMESTAMP_FILE={}", self.file().display()),
            "FAKETIME_CACHE_DURATION=1".into(),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".into(),
            "FAKETIME_DISABLE_SHM=1".into(),
            "NO_FAKE_STAT=1".into(),
        ]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// The library, where Debian has it: below `/usr/lib`, in the folder of the machine's architecture.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|library| library.is_file()).expect("there is no libfaketime; tests/install.sh installs what the tests need")
}
