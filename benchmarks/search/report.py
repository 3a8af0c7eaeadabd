def write_report(folder, evaluations):
    pass
