"""What people see of a run: timelines, terminal text, JSON, JUnit, HTML, the coverage matrix and failure bundles."""
