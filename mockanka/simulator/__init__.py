"""One controller with everything around it: its application, scenario, journal, client report and timelines."""
