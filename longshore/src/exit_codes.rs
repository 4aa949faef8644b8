//! The exit codes, as `--help` documents them: those alone that a command can end with.

/// Of all commands together.
pub const ALL: &str = "Exit codes:
  0    done; for a daemon, stopped by a signal, with requests finished or cut off at the drain's end
  1    failed
  2    a mistake in arguments, environment or configuration; nothing was done
  3    a policy that was tried out would block images that can be pulled now, or one does not let an image run
  4    the orchestrator knows no such thing
  5    somebody else has changed it meanwhile, or it is there already; nothing was done
  6    the fleet, or a quota, has no room for it
  7    the orchestrator or its registry does not know who asks, or does not let them
  130  a daemon told a second time to stop, and so stopped at once; waiting interrupted, and what was asked for goes on";

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

/// Of what has an edge, or nodes of the fleet, fetch images.
pub const PREWARM: &str = "Exit codes:
  0    done; without --detach and --cancel, every image is there
  1    failed, or an image is not all there
  2    a mistake in arguments, environment or configuration; nothing was done
  3    of the fleet: the registry's policy does not let an image run
  4    of the fleet: there is no such thing
  5    of the fleet: it was changed meanwhile; nothing was done
  6    of the fleet: it has no room for it
  7    of the fleet: the orchestrator or its registry does not know who asks, or does not let them
  130  interrupted; the edge or the nodes go on, and --cancel ends that";

/// Of what has a node fetch images.
pub const NODE_PREWARM: &str = "Exit codes:
  0    done; without --detach and --cancel, every image is there
  1    failed, or an image is not all there
  2    a mistake in arguments, environment or configuration; nothing was done
  130  interrupted; the node goes on, and --cancel ends that";

/// Of the noun whose verbs are of a node by itself and of nodes of the fleet.
pub const NODE: &str = "Exit codes:
  0    done; for serve, stopped by a signal, with requests finished or cut off at the drain's end
  1    failed
  2    a mistake in arguments, environment or configuration; nothing was done
  4    of the fleet: there is no such node or token
  5    of the fleet: it was changed meanwhile; nothing was done
  7    of the fleet: the orchestrator or its registry does not know who asks, or does not let them
  130  serve was told a second time to stop, and so stopped at once; for pull, prewarm and drain, interrupted";

/// Of what asks an orchestrator.
pub const FLEET: &str = "Exit codes:
  0    done
  1    failed
  2    a mistake in arguments, environment, configuration or documents; nothing was done
  3    the registry's policy does not let an image run
  4    there is no such thing
  5    somebody else has changed it meanwhile, or it is there already; nothing was done
  6    the fleet, or a quota, has no room for it
  7    the orchestrator or its registry does not know who asks, or does not let them";

/// Of what waits for what an orchestrator does.
pub const FLEET_WAIT: &str = "Exit codes:
  0    done
  1    failed, or not done in time
  2    a mistake in arguments, environment, configuration or documents; nothing was done
  3    the registry's policy does not let an image run
  4    there is no such thing
  5    somebody else has changed it meanwhile, or it is there already; nothing was done
  6    the fleet, or a quota, has no room for it
  7    the orchestrator or its registry does not know who asks, or does not let them
  130  waiting was interrupted; the orchestrator goes on";
