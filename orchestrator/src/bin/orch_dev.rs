//! dev
fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let file = std::env::args().skip_while(|a| a != "--config").nth(1).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        let loaded = longshore_service::config::load_text::<longshore_orchestrator::Config>("orchestrator.toml", &text);
        let config = match loaded { Ok(l) => l.config, Err(e) => { eprintln!("{e}"); std::process::exit(2) } };
        let telemetry = longshore_service::telemetry::Telemetry::start(&config.telemetry_settings()).unwrap();
        let stop = longshore_service::shutdown::on_signal().unwrap();
        let app = match Box::pin(longshore_orchestrator::build(config)).await { Ok(a) => a, Err(e) => { eprintln!("{e:?}"); std::process::exit(1) } };
        eprintln!("longshore: orchestrator on {} ({}), dev", app.doors().url(), app.summary());
        app.run(stop).await;
        telemetry.shutdown().await;
    });
}
