"""placeholder"""
def run(work, report): pass
