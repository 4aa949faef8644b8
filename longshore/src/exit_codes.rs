//! The exit codes, as `--help` documents them: those alone that a command can end with.

/// Of all commands together.
pub const ALL: &str = "Exit codes:
  0    done; for a daemon, stopped by a signal, with requests finished or cut off at the drain's end
  1    failed
  2    a mistake in arguments, environment or configuration; nothing was done
  3    a policy that was tried out would block images that can be pulled now
  130  a daemon told a second time to stop, and so stopped at once; prewarm interrupted, and the edge goes on";

/// Of what only runs until it is told to stop.
pub const DAEMON: &str = "Exit codes:
  0    stopped by a signal, with requests finished or cut off at the drain's end
  1    failed
  2    a mistake in arguments, environment or configuration; nothing was done
  130  told a second time to stop, and so stopped at once";

/// Of a noun that has a daemon among its verbs.
pub const WITH_SERVE: &str = "Exit codes:
  0    done; for serve, stopped by a signal, with requests finished or cut off at the drain's end
  1    failed
  2    a mistake in arguments, environment or configuration; nothing was done
  130  serve was told a second time to stop, and so stopped at once; for pull and prewarm, interrupted";

/// Of a noun whose verbs try policies out.
pub const WITH_TRIALS: &str = "Exit codes:
  0    done
  1    failed
  2    a mistake in arguments, environment or configuration; nothing was done
  3    for test and apply --dry-run: images that can be pulled now would be blocked";

/// Of what asks a server, and waits for what it says.
pub const COMMAND: &str = "Exit codes:
  0    done
  1    failed
  2    a mistake in arguments, environment or configuration; nothing was done";

/// Of what has a node get images.
pub const NODE_PULL: &str = "Exit codes:
  0    done; every image is there
  1    failed, or an image is not all there
  2    a mistake in arguments, environment or configuration; nothing was done
  130  interrupted, and the node told to end it";

/// Of what has an edge fetch images.
pub const PREWARM: &str = "Exit codes:
  0    done; without --detach and --cancel, every image is there
  1    failed, or an image is not all there
  2    a mistake in arguments, environment or configuration; nothing was done
  130  interrupted; the edge goes on, and --cancel ends that";
