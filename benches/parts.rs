//! The parts by themselves, on this machine as it is: `cargo bench --features bench --bench parts`.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::net::TcpListener;

use criterion::{Criterion, criterion_group, criterion_main};
use portclear::{Policy, PortSpec, Service, bench};

fn parts(criterion: &mut Criterion) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = PortSpec::at(listener.local_addr().unwrap()).unwrap();
    let policy = Policy::new(Service::openclaw());
    let service = Service::openclaw();
    let inodes = bench::table(spec).unwrap();
    let pid = std::process::id();
    let holder = bench::holder(pid, &inodes, &service).unwrap().unwrap();
    criterion.bench_function("table", |bencher| bencher.iter(|| bench::table(black_box(spec)).unwrap()));
    criterion.bench_function("scan", |bencher| bencher.iter(|| bench::scan(black_box(&inodes)).unwrap()));
    criterion.bench_function("facts", |bencher| bencher.iter(|| bench::facts(black_box(pid), &service).unwrap()));
    criterion.bench_function("facts and ancestors", |bencher| {
        bencher.iter(|| bench::holder(black_box(pid), &inodes, &service).unwrap());
    });
    bench::judging(&policy, |judge| {
        criterion.bench_function("judge", |bencher| bencher.iter(|| judge(black_box(&holder))));
    })
    .unwrap();
}

criterion_group!(benches, parts);
criterion_main!(benches);
