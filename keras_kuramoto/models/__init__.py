from keras_kuramoto.models.sudoku import AKOrNSudoku, BoardEncoding, SudokuModel
